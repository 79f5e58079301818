package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
)

// withIndexFile adds an index in a file of the test's own to a setting.
func withIndexFile(t *testing.T, s setting) (setting, string) {
	t.Helper()
	file := strings.TrimPrefix(s.env[0], "VOLLEY_CONFIG=")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	db := filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	require.NoError(t, os.WriteFile(file, append(text, "index: {url: sqlite://"+db+"}\n"...), 0o600))
	return s, db
}

func openTestIndex(t *testing.T, db string) *index.Index {
	t.Helper()
	x, err := index.Open(context.Background(), index.Options{URL: "sqlite://" + db})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

// TestWhoIsSuppressedIsListedAndLeavesNoTraceInTheAuditLog walks through the commands.
func TestWhoIsSuppressedIsListedAndLeavesNoTraceInTheAuditLog(t *testing.T) {
	t.Parallel()
	f := &fake{cancel: message.CancelResult{Batch: "b1", Confirmed: true, Counts: message.CancelCounts{Canceled: 1}}}
	s, _, read := audited(t, f)
	s, db := withIndexFile(t, s)
	x := openTestIndex(t, db)
	now := time.Now()
	require.NoError(t, x.Put(t.Context(), index.Batch{Tenant: "default", ID: "b1", State: message.BatchRunning, Total: 1, CreatedAt: now, Rev: 1, AsOf: now},
		[]index.Message{{To: "+15550001111", State: message.Scheduled, Rev: 1}}))

	r := s.run(t, "suppress", "add", "+1 555 000 1111", "ann@example.com", "--reason", "asked", "--until", "30d", "-o", "json")
	require.Zero(t, r.code, r.stderr)
	var done person.Suppressed
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &done))
	require.Equal(t, person.Suppressed{Added: 2, Canceled: &person.Canceled{Batches: 1, Messages: 1}}, done)
	entries, text := read()
	require.Len(t, entries, 1)
	require.Equal(t, "suppress-add", entries[0].Action)
	require.Equal(t, map[string]int{"recipients": 2, "added": 2, "canceled": 1}, entries[0].Counts)
	require.NotContains(t, text, "555")

	file := write(t, "list.csv", "recipient,reason,until\n+15550002222,bounced,2099-01-31\nBob@Example.com,,\n")
	r = s.run(t, "suppress", "import", file, "--source", "crm")
	require.Zero(t, r.code, r.stderr)
	r = s.run(t, "suppress", "list", "-o", "json")
	require.Zero(t, r.code, r.stderr)
	var list suppressionList
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &list))
	require.Len(t, list.Suppressions, 4)
	require.Equal(t, "bob@example.com", list.Suppressions[0].Recipient)
	require.Equal(t, "crm", list.Suppressions[0].Source)
	require.Equal(t, 2099, list.Suppressions[1].Until.Year())
	require.Equal(t, "bounced", list.Suppressions[1].Reason)

	r = s.run(t, "suppress", "check", "+15550002222", "+15550003333")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "1 of 2 recipients suppressed")

	// A start leaves them out, and counts them.
	_, _ = read()
	request := write(t, "request.json", `{"text":"Hi","messages":[{"to":"+15550001111"},{"to":"+15550009999"}]}`)
	r = s.run(t, "validate", "--dialect", "volley", request)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "1 valid, 1 suppressed, 0 problems")
	lines := write(t, "request.jsonl", "{\"text\":\"Hi\"}\n{\"to\":\"+15550001111\"}\n{\"to\":\"+15550009999\"}\n")
	for _, file := range []string{request, lines} {
		out := document(t, s.run(t, "validate", "--dialect", "volley", "-o", "json", file))
		require.InDelta(t, 1, out["suppressed"], 0, file)
		require.InDelta(t, 1, out["valid"], 0, file)
	}
	r = s.run(t, "start", "--dialect", "volley", "--id", "b2", request)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "1 of them suppressed")
	require.Equal(t, message.CodeSuppressed, f.request.Batch.Messages[0].Problems[0].Code)
	require.Empty(t, f.request.Batch.Messages[1].Problems)

	_, _ = read()
	for _, args := range [][]string{{"suppress", "remove", "+15550001111"}, {"forget", "+15550002222"}, {"export", "+15550002222"}} {
		r = s.run(t, args...)
		require.Zero(t, r.code, "%s", r.stderr)
		entries, text := read()
		require.Len(t, entries, 1)
		require.Equal(t, "ok", entries[0].Result)
		require.Equal(t, strings.Join(args[:len(args)-1], "-"), entries[0].Action)
		require.NotContains(t, text, "555")
	}
	r = s.run(t, "forget", "+15550002222", "--dry-run")
	require.Zero(t, r.code, r.stderr)
	entries, _ = read()
	require.Empty(t, entries, "nothing was done")
	r = s.run(t, "suppress", "check", "+15550002222", "-o", "json")
	require.Contains(t, r.stdout, `"suppressed":true,"entries":[{"tenant":"default","recipient":"","key":"key-`)
}

func TestMistakesInAListAddNobody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"no number":    {"+15550001111\n+1 555 000 1111 222 333 444\n", "line 2"},
		"a bad date":   {"recipient,until\n+15550001111,soon\n", "line 2: until is neither"},
		"no header":    {"+15550001111,asked\n", "line 1: it has 2 values, expected 1"},
		"broken quote": {"\"+15550001111\n", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := audited(t, &fake{})
			s, db := withIndexFile(t, s)
			r := s.run(t, "suppress", "import", write(t, "list.csv", tt.text))
			require.Equal(t, exitUsage, r.code)
			require.Contains(t, r.stderr, tt.want)
			require.NotContains(t, r.stderr, "15550001111")
			page, _, err := openTestIndex(t, db).Suppressions(t.Context(), index.SuppressionQuery{})
			require.NoError(t, err)
			require.Empty(t, page)
		})
	}
}

func TestCommandsAboutPeopleSayThatTheyNeedAnIndex(t *testing.T) {
	t.Parallel()
	s, _, _ := audited(t, &fake{})
	for _, args := range [][]string{{"suppress", "add", "+15550001111"}, {"suppress", "list"}, {"forget", "+15550001111"}, {"export", "c-1"}} {
		r := s.run(t, args...)
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.stderr, "needs an index")
	}
}
