package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"volley/starter"
)

// The Web UI of the dev stack asks its codec for what is sealed: a person reads in it what a
// batch says, and nobody what a sensitive one does.
func TestTheWebUIShowsWhatIsSealedAndNothingSensitive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o, err := parse(free("up", "--state-dir", dir), io.Discard)
	require.NoError(t, err)
	s, err := start(t.Context(), o, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	b := openBrowser(t, s.temporal.UIAddress())
	for id, says := range map[string]struct{ member, seen, unseen string }{
		"plain":  {"", "The parcel is at the gate", "not shown"},
		"hidden": {`"sensitive":true,`, "(sensitive: not shown)", "The code is 4711"},
	} {
		text := says.seen
		if says.member != "" {
			text = says.unseen
		}
		s.post(t, "/v1/batches?id="+id, fmt.Sprintf(`{"account":"hook",%s"text":%q,"messages":[{"to":"+15550001111"}]}`, says.member, text))
		_, err := s.starter.Wait(t.Context(), starter.Ref{ID: id})
		require.NoError(t, err)
		path := "/api/v1/namespaces/" + s.temporal.Namespace() + "/workflows/batch-" + id
		raw := get(t, s.temporal.UIAddress()+path+"/history")
		require.NotContains(t, raw, "+15550001111")
		require.NotContains(t, raw, text[:9])
		require.NotContains(t, raw, base64.StdEncoding.EncodeToString([]byte(text))[:12])
		var described struct {
			Info struct{ Execution struct{ RunID string } } `json:"workflowExecutionInfo"`
		}
		require.NoError(t, json.Unmarshal([]byte(get(t, s.temporal.UIAddress()+path)), &described))

		b.run("a screen that shows all of it", chromedp.EmulateViewport(1600, 6000))
		b.run("the batch", chromedp.Navigate(fmt.Sprintf("%s/namespaces/%s/workflows/batch-%s/%s/history", s.temporal.UIAddress(), s.temporal.Namespace(), id, described.Info.Execution.RunID)))
		b.until("what the batch says", fmt.Sprintf(`document.body.innerText.includes(%q) && document.body.innerText.includes("+15550001111")`, says.seen))
		var all string
		b.run("all of the page", chromedp.Text("body", &all, chromedp.ByQuery))
		require.NotContains(t, all, says.unseen)
		if dir := os.Getenv("VOLLEY_PICTURES"); dir != "" {
			var png []byte
			b.run("a picture", chromedp.FullScreenshot(&png, 100))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "webui-"+id+".png"), png, 0o600))
		}
	}
}

// post asks the gateway as its clients do.
func (s *stack) post(t *testing.T, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.gateway+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+gatewayKey)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode, "%s", answer)
}
