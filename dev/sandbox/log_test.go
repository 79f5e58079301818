package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
)

func TestTheJournalOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	first := start(t, sandbox.Options{Journal: path})
	for _, d := range endpoints() {
		first.post(t, d.path, d.head(first), d.body("x+drop", idA))
	}
	require.Len(t, first.Received(), 5)

	// No Close: a killed process has none. Its last write may be cut short.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"seq":6,"provider":"bi`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	second := start(t, sandbox.Options{Journal: path})
	require.Equal(t, first.Received(), second.Received())
	for _, d := range endpoints() {
		second.post(t, d.path, d.head(second), d.body("x", idA))
	}
	require.Equal(t, 4, second.Counts().Doubles, "all but Bluesky's, which has no id")
	third := start(t, sandbox.Options{Journal: path})
	require.Equal(t, second.Received(), third.Received())
	require.EqualValues(t, 10, third.Received()[9].Seq)
}

func TestAnUnusableJournalRefusesEverything(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(broken, []byte("not json\n"), 0o600))
	for name, path := range map[string]string{"a directory": t.TempDir(), "not a journal": broken} {
		s := sandbox.New(sandbox.Options{Journal: path})
		require.Error(t, s.Err(), name)
		require.NoError(t, s.Close())
	}
	b := start(t, sandbox.Options{Journal: filepath.Join(t.TempDir(), "j")})
	require.NoError(t, b.Close())
	d := endpoints()[0]
	require.Equal(t, http.StatusServiceUnavailable, b.post(t, d.path, d.head(b), d.body("x", idA)).status)
	require.Empty(t, b.Received())
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{Keep: 3})
	d := endpoints()[0]
	for i := range 5 {
		require.Equal(t, 202, b.post(t, d.path, d.head(b), d.body("x", fmt.Sprint(i))).status)
		b.post(t, d.path, d.head(b), d.body("x+down", fmt.Sprint(i)))
	}
	c := b.Counts()
	require.EqualValues(t, 5, c.Total)
	require.Equal(t, 3, c.Kept)
	require.Equal(t, 3, c.Distinct)
	require.Zero(t, c.Doubles)
	require.Len(t, b.Received(), 3)
}

// A sender that asks for a message which was accepted and not kept must not be told
// that it is absent: it would send it again.
func TestWhatIsNotKeptIsFoundNevertheless(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{Keep: 1})
	hook := endpoints()[4]
	for i := range 3 {
		require.Equal(t, 202, b.post(t, "/webhook/acme", nil, hook.body("x", fmt.Sprint(i))).status)
	}
	require.Equal(t, http.StatusOK, b.get(t, "/webhook/acme?id=2", nil).status)
	require.NotEmpty(t, b.get(t, "/webhook/acme?id=2", nil).field("id"))
	require.Equal(t, http.StatusNotFound, b.get(t, "/webhook/acme?id=3", nil).status)
	require.Equal(t, http.StatusNotFound, b.get(t, "/webhook?id=2", nil).status, "another hook")
}

func TestManySendersAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{Journal: filepath.Join(t.TempDir(), "j")})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				for _, d := range endpoints() {
					b.post(t, d.path, d.head(b), d.body("x", fmt.Sprintf("%d-%d", w, i)))
				}
				b.post(t, "/sink", nil, `{}`)
				b.get(t, "/messages?limit=5", nil)
			}
		})
	}
	wg.Wait()
	c := b.Counts()
	require.EqualValues(t, 8*25*5, c.Total)
	require.EqualValues(t, 8*25, c.Sunk)
	for i, r := range b.Received() {
		require.EqualValues(t, i+1, r.Seq)
	}
}

func TestMessagesShowsWhatWasReceived(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{Accounts: map[string]string{"bird": "bird-main", "p": "sinch-eu", "sinch": "other"}})
	for i, d := range endpoints() {
		require.Equal(t, d.ok, b.post(t, d.path, d.head(b), d.body(fmt.Sprintf("to-%d", i), idA)).status)
	}
	list := func(query string) (names []string) {
		res := b.get(t, "/messages"+query, nil)
		require.Equal(t, http.StatusOK, res.status)
		var v struct {
			Total    int              `json:"total"`
			Messages []sandbox.Record `json:"messages"`
		}
		require.NoError(t, json.Unmarshal([]byte(res.body), &v))
		require.Equal(t, 5, v.Total)
		for _, m := range v.Messages {
			names = append(names, m.Provider)
		}
		return names
	}
	require.Equal(t, []string{"webhook", "bluesky", "imkit", "sinch", "bird"}, list(""), "newest first")
	require.Equal(t, []string{"webhook", "bluesky"}, list("?limit=2"))
	require.Equal(t, []string{"webhook"}, list("?after=4"))
	require.Equal(t, []string{"imkit"}, list("?account=imkit"))
	require.Equal(t, []string{"bird"}, list("?account=ws"))
	require.Equal(t, []string{"bird"}, list("?account=bird-main"), "by the name in the configuration")
	require.Equal(t, []string{"sinch"}, list("?account=sinch-eu"))
	require.Empty(t, list("?account=other"), "an account's own name goes first")
	require.Equal(t, []string{"sinch"}, list("?to=to-1"))
	require.Equal(t, []string{"webhook", "imkit", "sinch", "bird"}, list("?id="+idA))
	require.Equal(t, []string{"sinch"}, list("?q=TO-1"))
	require.Equal(t, []string{"imkit"}, list("?q=mkit"))
	require.Equal(t, []string{"webhook", "imkit", "sinch", "bird"}, list("?q="+idA[:8]))
	require.Equal(t, []string{"bird"}, list("?limit=1&q=to-0"), "among all, not among those that are newest")
	require.Empty(t, list("?after=1&q=to-0"))
	require.Contains(t, b.get(t, "/messages?to=nobody", nil).body, `"messages":[]`)
}

func TestThePageIsSelfContainedAndSafe(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	res := b.get(t, "/", nil)
	require.Equal(t, http.StatusOK, res.status)
	require.Contains(t, res.header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, bad := range []string{"http://", "https://", "innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		require.NotContains(t, res.body, bad)
	}
	require.True(t, strings.Contains(res.body, "textContent") && strings.Contains(res.body, "messages?limit="))
	require.Equal(t, http.StatusNotFound, b.get(t, "/nothing", nil).status)
	require.Equal(t, http.StatusOK, b.get(t, "/healthz", nil).status)
}

func TestTheSinkOnlyCounts(t *testing.T) {
	t.Parallel()
	b := start(t, sandbox.Options{})
	for _, path := range []string{"/sink", "/sink?ms=1"} {
		res := b.post(t, path, nil, `{"any":"thing"}`)
		require.Equal(t, http.StatusAccepted, res.status)
		require.Equal(t, "{}", res.body)
	}
	require.JSONEq(t, `{"count":2}`, b.get(t, "/sink", nil).body)
	require.Empty(t, b.Received())
}

// benchmark measures the handler alone, without a network.
func benchmark(b *testing.B, path, body string) {
	b.Helper()
	h := sandbox.New(sandbox.Options{}).Handler()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Authorization", "AccessKey k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(b, http.StatusAccepted, w.Code)
	}
}

func BenchmarkSink(b *testing.B) { benchmark(b, "/sink", "") }

func BenchmarkBird(b *testing.B) {
	d := endpoints()[0]
	benchmark(b, d.path, d.body("x", idA))
}
