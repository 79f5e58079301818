package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// indexed is a setting whose configuration has an index, with a batch of each of two tenants
// in it.
func indexed(t *testing.T, f *fake) (setting, *index.Index) {
	t.Helper()
	url := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	x, err := index.Open(t.Context(), index.Options{URL: url, Now: func() time.Time { return moment }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	ago := func(d time.Duration) time.Time { return moment.Add(-d) }
	for _, tenant := range []string{"default", "acme"} {
		b := index.Batch{
			Tenant: tenant, ID: "b1", Dialect: "volley", State: message.BatchRunning, Total: 3, Counts: message.Counts{message.Sent: 1, message.Failed: 1, message.Retrying: 1},
			Metadata: map[string]string{"campaign": "spring"}, CreatedAt: ago(2 * time.Hour), StartedAt: ago(2 * time.Hour), Rev: 3, AsOf: ago(time.Minute),
		}
		require.NoError(t, x.Put(t.Context(), b, []index.Message{
			{Index: 0, To: "+4915123456789", Reference: "c-1", Account: "hook", Country: "DE", State: message.Sent, ProviderID: "p-1", Attempts: 1, DueAt: ago(2 * time.Hour), SentAt: ago(2*time.Hour - time.Second), FinishedAt: ago(2*time.Hour - time.Second), Rev: 1},
			{Index: 1, To: "ann@example.com", Reference: "c-2", Account: "hook", State: message.Failed, Code: "http_400", Detail: "no such \x1b[31mmailbox", Attempts: 1, DueAt: ago(2 * time.Hour), FinishedAt: ago(time.Hour), Rev: 2},
			{Index: 2, To: "+15550001111", Account: "hook", Country: "US", State: message.Retrying, Code: "http_503", Attempts: 2, DueAt: ago(2 * time.Hour), Rev: 3},
		}))
	}
	return setting{fake: f, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: '"+url+"'}\n"), "VOLLEY_ACTOR=ann"}}, x
}

func TestFind(t *testing.T) {
	t.Parallel()
	s, _ := indexed(t, &fake{})
	golden(t, "find.text", s.run(t, "find", "ann@example.com"))
	golden(t, "find.json", s.run(t, "find", "+49 151 23456789", "-o", "json"))
	golden(t, "find.all", s.run(t, "find", "c-1", "--all-tenants"))
	found := func(args ...string) int {
		r := s.run(t, append([]string{"find", "-o", "json"}, args...)...)
		require.Zero(t, r.code, r.stderr)
		return len(document(t, r)["messages"].([]any))
	}
	require.Equal(t, 1, found("--to", "+15550001111"))
	require.Equal(t, 1, found("--reference", "c-2"))
	require.Equal(t, 1, found("--provider-id", "p-1"))
	require.Equal(t, 1, found("0151 23456789", "--default-region", "DE"))
	require.Equal(t, 1, found("c-2", "--state", "not-sent"))
	require.Zero(t, found("c-2", "--state", "sent"))
	require.Zero(t, found("c-2", "--since", "30m"))
	require.Zero(t, found("c-9"))
	require.Equal(t, 1, found("c-1", "--tenant", "acme"))
}

func TestFindRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s, _ := indexed(t, &fake{})
	for want, args := range map[string][]string{
		"QUERY is missing": {"find"}, "QUERY is empty": {"find", ""}, "--to is empty": {"find", "--to", ""}, "--state": {"find", "a", "--state", "gone"},
		"--since": {"find", "a", "--since", "yesterday"}, "--limit 0": {"find", "a", "--limit", "0"}, "exclude each other": {"find", "a", "--all-tenants", "--tenant", "acme"},
		"cursor": {"find", "c-1", "--cursor", "!"}, "--for": {"stuck", "--for", "soon"}, "by": {"stats", "--by", "colour"},
	} {
		r := s.run(t, args...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.stderr)
		require.Contains(t, r.stderr, want)
	}
	none := withConfig(t, &fake{})
	for _, args := range [][]string{{"find", "a"}, {"stats"}, {"stuck"}, {"index", "rebuild"}} {
		r := none.run(t, args...)
		require.Equal(t, exitUsage, r.code, "%v", args)
		require.Contains(t, r.stderr, "needs an index: set index.url in the configuration")
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	s, _ := indexed(t, &fake{})
	golden(t, "stats.text", s.run(t, "stats"))
	golden(t, "stats.account", s.run(t, "stats", "--by", "meta.campaign", "--all-tenants"))
	golden(t, "stats.json", s.run(t, "stats", "--by", "country", "-o", "json"))
}

func TestStuckSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *time.Time { v := moment.Add(-d); return &v }
	f := &fake{
		accounts: starter.AccountList{Accounts: []starter.AccountHealth{
			{Name: "hook", Workers: 1}, {Name: "spare"}, {Name: "third", Workers: 2, Held: &message.HoldView{By: message.HeldByPerson, Reason: "why", Since: *at(time.Hour)}},
		}},
		page: message.Page{Messages: []message.Row{
			{Index: 0, Account: "hook", State: message.Retrying, Code: "http_503", Attempts: 2, DueAt: at(2 * time.Hour)},
			{Index: 1, Account: "hook", State: message.Accepted, Code: message.CodeHeld, DueAt: at(time.Hour)},
			{Index: 2, Account: "spare", State: message.Accepted, DueAt: at(30 * time.Minute)},
			{Index: 3, Account: "third", State: message.Accepted, DueAt: at(20 * time.Minute)},
			{Index: 4, Account: "hook", State: message.Sending, Code: "timeout", Attempts: 1, DueAt: at(15 * time.Minute)},
			{Index: 5, Account: "hook", State: message.Sending, Attempts: 1, ProviderID: "p", DueAt: at(14 * time.Minute)},
			{Index: 6, Account: "hook", State: message.Accepted, DueAt: at(time.Minute)}, // not yet
		}},
	}
	s, _ := indexed(t, f)
	golden(t, "stuck.text", s.run(t, "stuck"))
	golden(t, "stuck.json", s.run(t, "stuck", "-o", "json"))
	f.page = message.Page{}
	golden(t, "stuck.none", s.run(t, "stuck"))
}

// readConfig is the configuration that VOLLEY_CONFIG=… names.
func readConfig(t *testing.T, variable string) string {
	t.Helper()
	_, path, _ := strings.Cut(variable, "=")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Each reason is what batches, Temporal and workers say now, whatever the index has.
func TestStuckAsksWhatIsTrue(t *testing.T) {
	t.Parallel()
	due := moment.Add(-time.Hour)
	row := func(change func(*message.Row)) message.Row {
		m := message.Row{Account: "hook", State: message.Accepted, DueAt: &due}
		if change != nil {
			change(&m)
		}
		return m
	}
	served := starter.AccountHealth{Name: "hook", Workers: 1}
	with := func(change func(*starter.AccountHealth)) starter.AccountHealth {
		x := served
		change(&x)
		return x
	}
	running := message.Status{State: message.BatchRunning}
	for why, c := range map[string]struct {
		status  message.Status
		account starter.AccountHealth
		row     message.Row
		err     error
	}{
		"waiting":        {status: running, account: served, row: row(nil)},
		"paused":         {status: message.Status{State: message.BatchPaused}, account: served, row: row(nil)},
		"held":           {status: message.Status{State: message.BatchRunning, Held: &message.HoldView{By: message.HeldByPerson}}, account: served, row: row(nil)},
		"held (account)": {status: running, account: with(func(x *starter.AccountHealth) { x.Held = &message.HoldView{By: message.HeldByAccount} }), row: row(nil)},
		"held (message)": {status: running, account: served, row: row(func(m *message.Row) { m.Code = message.CodeHeld })},
		"no worker":      {status: running, account: with(func(x *starter.AccountHealth) { x.Workers = 0 }), row: row(nil)},
		"no worker (of the batch)": {
			err: fmt.Errorf("batch b1: %w", starter.ErrNoWorker), account: served,
		},
		"rate":             {status: running, account: with(func(x *starter.AccountHealth) { x.Queued = new(3) }), row: row(nil)},
		"rate (used)":      {status: running, account: with(func(x *starter.AccountHealth) { x.Used = new(1000.0) }), row: row(nil)},
		"breaker":          {status: running, account: with(func(x *starter.AccountHealth) { x.Breaker = new(starter.BreakerOpen) }), row: row(nil)},
		"breaker (tried)":  {status: running, account: with(func(x *starter.AccountHealth) { x.Breaker = new(starter.BreakerOpen) }), row: row(func(m *message.Row) { m.State, m.Code = message.Retrying, "http_503" })},
		"retrying":         {status: running, account: with(func(x *starter.AccountHealth) { x.Breaker = new(starter.BreakerClosed) }), row: row(func(m *message.Row) { m.State, m.Code = message.Retrying, "http_503" })},
		"waiting (closed)": {status: running, account: with(func(x *starter.AccountHealth) { x.Breaker = new(starter.BreakerClosed) }), row: row(func(m *message.Row) { m.Code = "throttled" })},
		"doubt":            {status: running, account: served, row: row(func(m *message.Row) { m.State, m.Attempts, m.Code = message.Sending, 1, "timeout" })},
		"no worker (of a queued attempt)": {
			status: running, account: with(func(x *starter.AccountHealth) { x.Workers = 0 }),
			row: row(func(m *message.Row) { m.State, m.Attempts = message.Sending, 1 }),
		},
		"rate (of a queued attempt)": {
			status: running, account: with(func(x *starter.AccountHealth) { x.Queued = new(3) }),
			row: row(func(m *message.Row) { m.State, m.Attempts = message.Sending, 1 }),
		},
		"awaits report": {status: running, account: served, row: row(func(m *message.Row) { m.State, m.ProviderID = message.Sending, "p" })},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			f := &fake{accounts: starter.AccountList{Accounts: []starter.AccountHealth{c.account}}, statuses: []message.Status{c.status}, page: message.Page{Messages: []message.Row{c.row}}}
			if c.err != nil {
				f.failures = map[int]error{1: c.err}
			}
			s, _ := indexed(t, f)
			s.env[0] = "VOLLEY_CONFIG=" + write(t, "rated.yaml", strings.Replace(readConfig(t, s.env[0]), "{provider: webhook", "{rate: 10/s, provider: webhook", 1))
			out := document(t, s.run(t, "stuck", "-o", "json"))
			groups := out["groups"].([]any)
			require.Len(t, groups, 1)
			want, _, _ := strings.Cut(why, " (")
			require.Equal(t, want, groups[0].(map[string]any)["why"])
			require.InDelta(t, 1, out["asked"], 0)
		})
	}
}

func TestStuckAsksOnlyBatchesInWhichSomethingWaitsAndSaysWhereItStopped(t *testing.T) {
	t.Parallel()
	due := moment.Add(-time.Hour)
	f := &fake{statuses: []message.Status{{State: message.BatchRunning}}, page: message.Page{Messages: []message.Row{{Account: "hook", State: message.Accepted, DueAt: &due}}}}
	s, x := indexed(t, f)
	put := func(id string, c message.Counts, age time.Duration) {
		require.NoError(t, x.Put(t.Context(), index.Batch{Tenant: "default", ID: id, State: message.BatchRunning, Total: 1, Counts: c, CreatedAt: moment.Add(-age), Rev: 1, AsOf: moment}, nil))
	}
	for i := range 250 {
		put(fmt.Sprintf("done-%d", i), message.Counts{message.Sent: 1}, time.Minute)
	}
	for i := range 205 {
		put(fmt.Sprintf("open-%d", i), message.Counts{message.Accepted: 1}, time.Duration(i+2)*time.Minute)
	}
	out := document(t, s.run(t, "stuck", "-o", "json"))
	require.InDelta(t, 200, out["asked"], 0)
	require.Equal(t, true, out["left"])
	require.Equal(t, 200, f.calls)
	r := s.run(t, "stuck")
	require.Contains(t, r.stderr, fmt.Sprintf("only the newest 200 batches with messages that wait were asked, down to %v", out["stoppedAt"]))
}

func TestAnActionIsInTheIndexAndShownFromThere(t *testing.T) {
	t.Parallel()
	s, x := indexed(t, &fake{pause: message.PauseResult{Batch: "b1", Confirmed: true}})
	require.Zero(t, s.run(t, "pause", "b1").code)
	require.Zero(t, s.run(t, "resume", "b1", "--tenant", "acme").code)
	entries, _, err := x.Audit(t.Context(), index.AuditQuery{})
	require.NoError(t, err)
	require.Len(t, entries, 2)
	r := s.run(t, "audit", "-o", "json", "--action", "pause,cancel")
	require.Zero(t, r.code, r.stderr)
	require.Len(t, strings.Split(strings.TrimSpace(r.stdout), "\n"), 1)
	var e audit.Entry
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &e))
	require.Equal(t, []string{"pause", "ann", "b1", "default"}, []string{e.Action, e.Actor, e.Batch, e.Tenant})
	require.Contains(t, s.run(t, "audit", "--limit", "1").stdout, "resume")
}

func TestAnIndexThatIsAwayStopsNoCommand(t *testing.T) {
	t.Parallel()
	none := filepath.ToSlash(filepath.Join(t.TempDir(), "none", "index.db"))
	s := setting{fake: &fake{pause: message.PauseResult{Batch: "b1", Confirmed: true}}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: 'sqlite://"+none+"'}\n")}}
	r := s.run(t, "pause", "b1")
	require.Zero(t, r.code, r.stderr)
	r = s.run(t, "find", "a")
	require.Equal(t, exitFailed, r.code, r.stderr)
}

func TestRebuildTakesInAnew(t *testing.T) {
	t.Parallel()
	s, _ := indexed(t, &fake{})
	r := s.run(t, "index", "rebuild")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "0 batches taken in anew, 0 could not be read")
	require.Equal(t, map[string]any{"batches": 0.0, "failed": 0.0, "resumed": false}, document(t, s.run(t, "index", "rebuild", "-o", "json")))
}

// Where no worker runs nobody is asked, one after the other, and nothing is said to be well.
func TestStuckAsksNobodyWhereNoWorkerRuns(t *testing.T) {
	t.Parallel()
	f := &fake{accounts: starter.AccountList{Accounts: []starter.AccountHealth{{Name: "hook"}}}}
	s, x := indexed(t, f)
	r := s.run(t, "stuck")
	require.Contains(t, r.stderr, "no worker runs")
	require.NotContains(t, r.stdout, "nothing waits")
	for i := range 3 {
		require.NoError(t, x.Put(t.Context(), index.Batch{
			Tenant: "default", ID: fmt.Sprint("waits", i), State: message.BatchRunning, Total: 2, Counts: message.Counts{message.Accepted: 2}, CreatedAt: moment.Add(-time.Hour), Rev: 1, AsOf: moment,
		}, nil))
	}
	out := document(t, s.run(t, "stuck", "-o", "json"))
	require.Equal(t, true, out["noWorker"])
	group := out["groups"].([]any)[0].(map[string]any)
	require.Equal(t, "no worker", group["why"])
	require.GreaterOrEqual(t, group["messages"], 6.0)
	require.Zero(t, f.calls)
}
