package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/pgtest"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
	"volley/internal/suppression"
)

// flakyIndex is an index that answers unless it is to be away.
type flakyIndex struct {
	*index.Index
	is atomic.Bool
}

var errAway = errors.New("the database is away")

func (a *flakyIndex) SuppressedSince(ctx context.Context, seq int64, limit int) ([]index.SuppressionChange, int64, error) {
	if a.is.Load() {
		return nil, 0, errAway
	}
	return a.Index.SuppressedSince(ctx, seq, limit)
}

// suppresses gives the workers of a lab a suppression list in a file of the test's own.
func (l *lab) suppresses(t *testing.T) *flakyIndex {
	t.Helper()
	x, err := index.Open(t.Context(), index.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "index.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	a := &flakyIndex{Index: x}
	l.suppressions = suppression.New(suppression.Options{Open: func(context.Context) (suppression.Source, error) { return a, nil }})
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { l.suppressions.Run(ctx) })
	t.Cleanup(func() { cancel(); following.Wait() })
	return a
}

// receivedBy reports how many messages the sandbox has to a recipient.
func (l *lab) receivedBy(to string) (n int) {
	for _, r := range l.sandbox.Received() {
		if r.To == to {
			n++
		}
	}
	return n
}

func TestWhoIsSuppressedBeforeTheDueTimeGetsNothing(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		x := l.suppresses(t)
		all := notes(t, 60)
		for i := range all {
			all[i].SendAfter = "8s"
		}
		_, err := x.Suppress(t.Context(), []index.Suppression{{Tenant: "default", Recipient: all[7].To}})
		require.NoError(t, err)
		l.serve(t)
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Scheduled] == len(all) })
		records := person.Records{Index: x.Index, Batches: l.starter, Store: l.store}
		_, err = records.Suppress(t.Context(), []index.Suppression{{Tenant: "default", Recipient: all[8].To}, {Recipient: all[9].To}, {Tenant: "acme", Recipient: all[10].To}})
		require.NoError(t, err)
		status, rows := l.wait(t, ref)
		require.Equal(t, 3, status.Counts[message.Rejected])
		require.Equal(t, len(all)-3, status.Counts[message.Sent])
		for _, row := range rows {
			if i := row.Index; i >= 7 && i <= 9 {
				require.Equal(t, []any{message.Rejected, message.CodeSuppressed, 0}, []any{row.State, row.Code, row.Attempts})
				require.Zero(t, l.receivedBy(all[i].To), "no request left")
			}
		}
		l.agree(t, rows)
	})
}

func TestMessagesWaitForTheSuppressionList(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		x := l.suppresses(t)
		_, err := x.Suppress(t.Context(), []index.Suppression{{Tenant: "default", Recipient: "nobody"}})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return l.suppressions.Len() == 1 }, busy, 10*time.Millisecond)
		x.is.Store(true)
		require.Eventually(t, func() bool { _, unknown := l.suppressions.Unknown("default"); return unknown }, busy, 10*time.Millisecond)
		l.serve(t)
		all := notes(t, 60)
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool {
			return s.Counts[message.Accepted] == len(all) && s.Held != nil && s.Held.By == message.HeldBySuppression
		})
		require.Zero(t, l.sandbox.Counts().Total, "nothing leaves")
		x.is.Store(false)
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent], "nothing is lost")
		l.agree(t, rows)
	})
}

// forgettable are values of the one who is forgotten.
var forgettable = map[string]string{
	"recipient": "zora.zwackelmann@example.com", "parameter": "Zora Zwackelmann", "reference": "ref-zz-9911", "text": "your green umbrella", "metadata": "zz-note-77",
}

// umbrellas is a batch of n messages, one of which is for the one who is forgotten.
func umbrellas(t *testing.T, n int, more map[string]any) string {
	t.Helper()
	b := map[string]any{"account": "hook", "text": "Dear ${name}"}
	for k, v := range more {
		b[k] = v
	}
	var all []map[string]any
	for i := range n {
		m := map[string]any{"to": fmt.Sprintf("other-%d", i), "params": map[string]string{"name": "Ann"}}
		if i == 5 {
			m = map[string]any{
				"to": forgettable["recipient"], "reference": forgettable["reference"], "text": "${name}, " + forgettable["text"],
				"params": map[string]string{"name": forgettable["parameter"]}, "metadata": map[string]string{"note": forgettable["metadata"]},
			}
		}
		all = append(all, m)
	}
	b["messages"] = all
	raw, err := json.Marshal(b)
	require.NoError(t, err)
	return string(raw)
}

// TestWhoIsForgottenStandsInNoFile forgets somebody of whom there are messages in a small
// batch, in large ones that have ended, and in one that waits.
func TestWhoIsForgottenStandsInNoFile(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		forgets(t, "sqlite://DIR/index.db", func(places map[string][]byte) { require.Contains(t, places, "index.db") })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		pg, err := pgtest.Start(t.Context())
		if errors.Is(err, pgtest.ErrMissing) {
			t.Skip(err)
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pg.Stop()) })
		forgets(t, pg.URL("postgres"), func(places map[string][]byte) {
			pg.Halt() // its log keeps what was until it is used again
			require.NoError(t, filepath.WalkDir(filepath.Join(pg.Data(), "base"), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				places[path], err = os.ReadFile(path)
				return err
			}))
		})
	})
}

// forgets forgets somebody who is in an index. files adds the files of the index to the places
// where nothing may be found.
func forgets(t *testing.T, url string, files func(places map[string][]byte)) {
	t.Helper()
	l := newClearLab(t, false, `index: {url: "`+url+`"}`)
	start := []string{"start", "--dialect", "volley", "--yes", "-o", "json", "-"}
	l.do(t, umbrellas(t, 9, nil), append(start, "--id", "small", "--wait")...)
	l.do(t, umbrellas(t, 60, map[string]any{"dispatch": "message"}), append(start, "--id", "large", "--wait")...)
	l.do(t, umbrellas(t, 60, nil), append(start, "--id", "groups", "--dispatch", "group", "--wait")...)
	l.do(t, umbrellas(t, 60, map[string]any{"sendAfter": "1h"}), append(start, "--id", "waits")...)
	who := forgettable["recipient"]
	require.Eventually(t, func() bool {
		var page index.FindPage
		require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "find", who, "-o", "json")), &page))
		return len(page.Messages) == 4 && slices.ContainsFunc(page.Messages, func(m index.Found) bool { return m.Batch == "small" && m.State == message.Sent })
	}, time.Minute, 200*time.Millisecond)

	var e person.Export
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "export", who)), &e))
	require.Len(t, e.Batches, 4)
	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.Contains(t, string(text), forgettable["text"])
	require.Contains(t, string(text), forgettable["reference"])

	counts := map[string]string{}
	for _, id := range []string{"small", "large", "groups"} {
		counts[id] = countsOf(t, l, id)
	}
	l.do(t, "", "suppress", "add", who, "--reason", "asked")
	require.Contains(t, l.do(t, "", "forget", who, "--dry-run"), "4 messages would be forgotten")
	var f person.Forgotten
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "forget", who, "-o", "json")), &f))
	require.Equal(t, []string{"waits"}, f.Again)
	require.Equal(t, 4, f.Messages)
	var rows []message.Row
	for line := range strings.Lines(l.do(t, "", "results", "waits", "--state", "canceled")) {
		var row message.Row
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		rows = append(rows, row)
	}
	require.Len(t, rows, 1, "the message that waited is canceled, and no other")
	l.do(t, "", "cancel", "waits")
	require.Eventually(t, func() bool {
		var f person.Forgotten
		require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "forget", who, "-o", "json")), &f))
		return len(f.Again) == 0
	}, busy, time.Second)
	for id, before := range counts {
		require.Equal(t, before, countsOf(t, l, id))
		require.Contains(t, l.do(t, "", "results", id), "other-6", "the others are there")
	}
	require.Contains(t, l.do(t, "", "results", "large"), message.ForgottenRecipient)
	require.Contains(t, l.do(t, "", "suppress", "check", who), "1 of 1 recipient suppressed")

	l.worker()
	l.server()
	places := l.places(t, nil)
	require.NotEmpty(t, found(forgettable, places), "Temporal's histories of the small batch hold it until their time is over")
	for place := range places {
		if strings.HasPrefix(place, "temporal.db") {
			delete(places, place)
		}
	}
	files(places)
	require.Contains(t, places, "store/volley-store")
	require.Empty(t, found(forgettable, places))
}

// countsOf are a batch's counts.
func countsOf(t *testing.T, l *clearLab, id string) string {
	t.Helper()
	var s message.Status
	require.NoError(t, json.Unmarshal([]byte(l.do(t, "", "status", id, "-o", "json")), &s))
	raw, err := json.Marshal(s.Counts)
	require.NoError(t, err)
	return string(raw)
}
