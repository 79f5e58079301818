package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// campaign is an ended batch under an id of Volley's own.
func campaign(counts message.Counts, metadata string) message.Status {
	st := ended(counts)
	st.ID, st.Metadata = "0d5a1c3e-8f2b-8c6d-9e4f-112233445566", json.RawMessage(metadata)
	return st
}

// listedBatches are batches with all that a list may show.
func listedBatches() []message.Status {
	long := campaign(message.Counts{message.Sent: 750_000, message.Failed: 250_000}, `{"n":17,"campaign":"the very long name of a campaign in spring"}`)
	long.CreatedAt = moment.Add(-100 * 24 * time.Hour)
	finished := moment.Add(-50 * 24 * time.Hour)
	long.FinishedAt = &finished
	long.Reasons = []message.Reason{{State: message.Failed, Code: "invalid_recipient", Count: 250_000}}
	short := campaign(message.Counts{message.Sent: 10, message.Accepted: 10}, `{"campaign":"语言"}`)
	ends := moment.Add(time.Hour)
	short.ID, short.State, short.FinishedAt, short.EstimatedEnd = "b1", message.BatchRunning, nil, &ends
	again := campaign(message.Counts{message.Sent: 2, message.Unknown: 1}, "{}")
	from := "b0"
	again.ID, again.RedriveOf = "b2", &from
	again.Reasons = []message.Reason{{State: message.Unknown, Code: "timeout", Count: 1}}
	return []message.Status{long, short, again}
}

func TestAListFitsItsTerminal(t *testing.T) {
	t.Parallel()
	config := write(t, "volley.yaml", testConfig+"search_metadata: [campaign, n]\n")
	all := listedBatches()
	for name, c := range map[string]struct {
		batches []message.Status
		columns int
		config  string
	}{
		"80": {all, 80, config}, "80.short": {all[1:], 80, config}, "100": {all, 100, config}, "200": {all, 200, config}, "40": {all[1:], 40, config},
		"80.no-config": {all, 80, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fake{batches: starter.Batches{Batches: c.batches}}
			env := []string{"NO_COLOR=1"}
			if c.config != "" {
				env = append(env, "VOLLEY_CONFIG="+c.config)
			}
			r := setting{fake: &f, terminal: true, columns: c.columns, env: env}.run(t, "list")
			for line := range strings.SplitSeq(strings.TrimSpace(r.stdout), "\n") {
				require.LessOrEqual(t, uniseg.StringWidth(line), c.columns, line)
			}
			golden(t, "list.columns-"+name, r)
		})
	}
	f := fake{batches: starter.Batches{Batches: all}}
	piped := setting{fake: &f, env: []string{"VOLLEY_CONFIG=" + config}}.run(t, "list")
	golden(t, "list.piped", piped)
	require.NotContains(t, piped.stdout, "\x1b")
	coloured := setting{fake: &f, terminal: true, env: []string{"VOLLEY_CONFIG=" + config}}.run(t, "list").stdout
	require.Contains(t, coloured, "  \x1b[31mfailed: invalid_recipient\x1b[0m\n")
	require.Contains(t, coloured, "  unknown: timeout\n", "what may have arrived is no failure")
}

func TestAListIsGreenOnlyWhereAllWasSent(t *testing.T) {
	t.Parallel()
	line := func(counts message.Counts, state message.BatchState) string {
		st := campaign(counts, "{}")
		st.State = state
		f := fake{batches: starter.Batches{Batches: []message.Status{st}}}
		r := setting{fake: &f, terminal: true}.run(t, "list")
		return strings.Split(r.stdout, "\n")[1]
	}
	const green, red, yellow, cyan = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[36m"
	for _, tt := range []struct {
		counts message.Counts
		state  message.BatchState
		want   string
	}{
		{message.Counts{message.Sent: 3, message.Delivered: 1}, message.BatchCompleted, green + "completed\x1b[0m      4     100%"},
		{message.Counts{message.Failed: 899, message.Rejected: 1}, message.BatchCompleted, red + "completed\x1b[0m    900     " + red + "0.0%\x1b[0m"},
		{message.Counts{message.Sent: 899, message.Undelivered: 1}, message.BatchCompleted, red + "completed\x1b[0m    900    " + red + "99.8%\x1b[0m"},
		{message.Counts{message.Sent: 2, message.Rejected: 1}, message.BatchCompleted, yellow + "completed\x1b[0m      3    66.6%"},
		{message.Counts{message.Sent: 2, message.Unknown: 1}, message.BatchCompleted, yellow + "completed"},
		{message.Counts{message.Sent: 2, message.Accepted: 1}, message.BatchRunning, cyan + "running"},
		{message.Counts{message.Failed: 1, message.Accepted: 1}, message.BatchRunning, red + "running"},
		{message.Counts{message.Sent: 1, message.Canceled: 1}, message.BatchCanceled, yellow + "canceled"},
		{message.Counts{message.Sent: 1}, message.BatchFailed, red + "failed"},
	} {
		require.Contains(t, line(tt.counts, tt.state), tt.want)
	}
	f := fake{statuses: []message.Status{ended(message.Counts{message.Sent: 1, message.Failed: 899})}}
	require.Contains(t, setting{fake: &f, terminal: true}.run(t, "status", "b1").stdout, red+"completed", "nor is its status")
}

func TestMetadataThatCannotBeSearchedIsSaid(t *testing.T) {
	t.Parallel()
	r := setting{fake: &fake{}}.run(t, "list", "--meta", "name=x")
	require.Equal(t, 0, r.code)
	require.Contains(t, r.stderr, "found by name only if it was in search_metadata", "without a configuration nobody knows")
	require.Empty(t, setting{fake: &fake{batches: starter.Batches{Batches: []message.Status{running()}}}}.run(t, "list", "--meta", "name=x").stderr)

	s := setting{fake: &fake{}, stdin: strings.Replace(goodBody, `{`, `{"metadata":{"name":"x","n":1},`, 1)}
	start := func(config string) string {
		s.env = []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", config)}
		r := s.run(t, "start", "--dialect", "volley", "-")
		require.Equal(t, 0, r.code, r.stderr)
		return r.stderr
	}
	require.Equal(t, "volley: `volley list --meta` will not find this batch: search_metadata has none of its metadata's keys (n, name)\n",
		start(testConfig+"search_metadata: [campaign]\n"))
	require.Empty(t, start(testConfig), "whoever searches for nothing is not told")
	require.Empty(t, start(testConfig+"search_metadata: [campaign, n]\n"))
	s.stdin = goodBody
	require.Empty(t, start(testConfig+"search_metadata: [campaign]\n"), "nor whoever has no metadata")
}

func TestSelectorsOfMessagesAndResults(t *testing.T) {
	t.Parallel()
	f := &fake{rows: someRows()}
	s := setting{fake: f}
	require.Equal(t, 0, s.run(t, "messages", "b1", "--state", "failed,waiting", "--code", "http_400").code)
	require.Equal(t, message.PageQuery{State: "failed,waiting", Code: "http_400", Limit: 100}, f.asked)
	require.Equal(t, 0, s.run(t, "list", "--state", "running,paused").code)
	require.Equal(t, 2, s.run(t, "list", "--state", "running,").code)
	r := s.run(t, "results", "b1", "--state", "not-sent", "--code", "x", "--format", "csv", "--columns", "code,to,index")
	require.Equal(t, starter.ResultQuery{State: "not-sent", Code: "x"}, f.asked)
	require.Equal(t, "code,to,index\n,+15550001111,0\nhttp_400,Zoë 语\x1b[31m,1\n,x,2\n", r.stdout)
	r = s.run(t, "results", "b1", "--columns", "state,reference,sentAt")
	require.Equal(t, `{"state":"sent","reference":"c-1","sentAt":"2026-11-20T14:59:00Z"}`, strings.Split(r.stdout, "\n")[0])
	require.Equal(t, `{"state":"scheduled","reference":null,"sentAt":null}`, strings.Split(r.stdout, "\n")[2])
	for columns, want := range map[string]string{"name": `there is no column "name", expected some of index,id,`, "to,to": "to is named twice", "to,": `no column ""`} {
		r := s.run(t, "results", "b1", "--columns", columns)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.stderr, want)
	}
	for _, bad := range []string{"done", "failed,done", "failed,"} {
		r := s.run(t, "results", "b1", "--state", bad)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.stderr, "or not-sent (failed, rejected, expired, canceled)")
	}
}
