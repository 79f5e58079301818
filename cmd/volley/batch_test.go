package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func both(t *testing.T, name string, s func() setting, args ...string) {
	t.Helper()
	for _, output := range []string{"text", "json"} {
		golden(t, name+"."+output, s().run(t, append(args, "-o", output)...))
	}
}

func with(f fake) func() setting { return func() setting { c := f; return setting{fake: &c} } }

func TestStatus(t *testing.T) {
	t.Parallel()
	both(t, "status.running", with(fake{statuses: []message.Status{running()}}), "status", "b1")

	paused := running()
	paused.State, paused.Tenant, paused.StartedAt = message.BatchPaused, "acme", nil
	from := "b0"
	paused.RedriveOf, paused.SendAfter, paused.Metadata = &from, after(26*60*60*1e9), nil
	both(t, "status.paused", with(fake{statuses: []message.Status{paused}}), "status", "b1", "--tenant", "acme")
}

func TestADueTimeThatHasPassedIsNotNext(t *testing.T) {
	t.Parallel()
	st := running()
	st.NextDueAt = after(-85 * time.Minute)
	require.NotContains(t, setting{fake: &fake{statuses: []message.Status{st}}}.run(t, "status", "b1").stdout, "next due")
}

func TestColoursOnATerminalOnly(t *testing.T) {
	t.Parallel()
	s := setting{fake: &fake{statuses: []message.Status{running()}}, terminal: true, env: []string{"TZ=UTC"}}
	coloured := s.run(t, "status", "b1")
	require.Contains(t, coloured.stdout, "\x1b[32msent\x1b[0m")
	s.env = []string{"NO_COLOR=1", "TZ=UTC"}
	plain := s.run(t, "status", "b1")
	require.NotContains(t, plain.stdout, "\x1b[")
	s.terminal = false
	require.Equal(t, plain, s.run(t, "status", "b1"))
	s.env = []string{"NO_COLOR=", "TZ=UTC"}
	s.terminal = true
	require.Equal(t, coloured, s.run(t, "status", "b1"), "an empty NO_COLOR is none")
}

func TestMessages(t *testing.T) {
	t.Parallel()
	f := fake{page: message.Page{Messages: someRows(), Next: "c3"}}
	both(t, "messages", with(f), "messages", "b1")
	both(t, "messages.none", with(fake{}), "messages", "b1")

	r := setting{fake: &f}.run(t, "messages", "b1", "--state", "failed", "--limit", "500", "--cursor", "c1", "--since", "9", "--tenant", "acme")
	require.Equal(t, 0, r.code)
	require.Equal(t, message.PageQuery{State: "failed", Limit: 500, Cursor: "c1", Since: 9}, f.asked)
	require.Equal(t, starter.Ref{Tenant: "acme", ID: "b1"}, f.ref)
}

func TestMessage(t *testing.T) {
	t.Parallel()
	row := someRows()[0]
	row.Trail = []message.TrailRow{
		{At: *after(-2e9), Account: "hook", Attempt: 1, Event: message.EventUnavailable, Code: "http_503", Detail: "try later"},
		{At: *after(-1e9), Account: "hook", Attempt: 2, Event: message.EventSent},
	}
	both(t, "message", with(fake{row: row}), "message", "b1", "0")
	both(t, "message.waiting", with(fake{row: someRows()[2]}), "message", "b1", "id-2")
}

func TestResults(t *testing.T) {
	t.Parallel()
	f := fake{rows: someRows()}
	golden(t, "results.jsonl", with(f)().run(t, "results", "b1"))
	r := with(f)().run(t, "results", "b1", "--format", "csv", "--state", "sent")
	golden(t, "results.csv", r)
	records, err := csv.NewReader(strings.NewReader(r.stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 4)

	require.Equal(t, 1, strings.Count(with(fake{})().run(t, "results", "b1", "--format", "csv").stdout, "\n"), "no rows, but a header")
	r = with(fake{err: starter.ErrNotFound})().run(t, "results", "b1", "--format", "csv")
	require.Equal(t, result{4, "", "volley: not found\n"}, r)
	r = with(fake{rows: someRows(), rowsErr: starter.ErrUnreachable})().run(t, "results", "b1")
	require.Equal(t, 1, r.code, "rows that stop in the middle are no success")
}

func TestResultsAreWrittenCompletelyOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "out.jsonl")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))

	r := with(fake{rows: someRows(), rowsErr: errors.New("boom")})().run(t, "results", "b1", "--out", file)
	require.Equal(t, 1, r.code)
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "old", string(kept))

	r = with(fake{rows: someRows()})().run(t, "results", "b1", "--out", file)
	require.Equal(t, result{0, "3 rows written to " + file + "\n", ""}, r)
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, with(fake{rows: someRows()})().run(t, "results", "b1").stdout, string(written))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	r = with(fake{rows: someRows()})().run(t, "results", "b1", "-o", "json", "--out", file)
	require.InDelta(t, 3, document(t, r)["rows"], 0)
	require.Equal(t, 1, with(fake{})().run(t, "results", "b1", "--out", filepath.Join(dir, "none", "x")).code)
}

func TestList(t *testing.T) {
	t.Parallel()
	open := running()
	open.Counts = nil
	f := fake{batches: starter.Batches{Batches: []message.Status{open, ended(message.Counts{message.Sent: 3, message.Failed: 1})}, Next: "n1"}}
	both(t, "list", with(f), "list")
	both(t, "list.none", with(fake{}), "list")

	r := setting{fake: &f}.run(t, "list", "--state", "running", "--dialect", "bird", "--meta", "campaign=a=b", "--limit", "5", "--counts", "--cursor", "c", "--tenant", "acme")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, starter.ListQuery{
		Tenant: "acme", State: "running", Dialect: "bird", Meta: "campaign=a=b", Limit: 5, Cursor: "c", Counts: true,
	}, f.asked)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	end := ended(message.Counts{message.Sent: 999, message.Failed: 1})
	steps := []message.Status{running(), end}
	both(t, "watch", with(fake{statuses: steps}), "watch", "b1")

	r := with(fake{
		statuses: steps,
		failures: map[int]error{1: fmt.Errorf("status: %w", starter.ErrNoWorker), 2: starter.ErrNoWorker, 4: starter.ErrUnreachable},
	})().run(t, "watch", "b1", "-o", "json")
	require.Equal(t, 3, r.code)
	require.Equal(t, 2, strings.Count(r.stdout, "\n"), "trouble that passes is survived")
	require.Equal(t, "volley: no worker serves batch b1, it goes on when one does: `volley worker`; still watching\nvolley: temporal is not reachable; still watching\n", r.stderr)

	require.Equal(t, 4, with(fake{err: starter.ErrNotFound})().run(t, "watch", "b1").code)
	require.Equal(t, 0, with(fake{statuses: []message.Status{ended(message.Counts{message.Delivered: 2})}})().run(t, "watch", "b1").code)
}

func TestWhatIsLeftOutAsAskedIsNoFailureForWatch(t *testing.T) {
	t.Parallel()
	statuses := []message.Status{ended(message.Counts{message.Sent: 1, message.Rejected: 2})}
	left := []message.Row{{State: message.Rejected, Code: message.CodeExcluded}, {State: message.Rejected, Code: message.CodeDuplicate}}
	require.Equal(t, 0, with(fake{statuses: statuses, rows: left})().run(t, "watch", "b1").code)
	left = []message.Row{left[0], {State: message.Rejected, Code: message.CodeRecipient}}
	require.Equal(t, 3, with(fake{statuses: statuses, rows: left})().run(t, "watch", "b1").code)
}

func TestWatchDrawsABarOnATerminal(t *testing.T) {
	t.Parallel()
	for _, total := range []int{4, 0} {
		f := &fake{statuses: []message.Status{ended(message.Counts{message.Sent: total})}}
		r := setting{fake: f, terminal: true, env: []string{"NO_COLOR=1"}}.run(t, "watch", "b1")
		require.Equal(t, 0, r.code, r.stderr)
		require.Contains(t, r.stdout, "completed")
		require.Contains(t, r.stdout, "|")
	}
}

func TestABarLeavesRoomForWords(t *testing.T) {
	t.Parallel()
	f := &fake{statuses: []message.Status{running(), ended(message.Counts{message.Sent: 1})}}
	r := setting{fake: f, terminal: true, env: []string{"NO_COLOR=1"}}.run(t, "watch", "b1")
	require.Contains(t, r.stdout, "running, 500 sent, 80 retrying, 5.0/s, ends in 2 min 20 s", "80 columns say what became of messages, and when it ends")
}

func TestAnOldStatusIsSeenFromNow(t *testing.T) {
	t.Parallel()
	st := running()
	st.AsOf, st.NextDueAt, st.EstimatedEnd = moment.Add(-time.Hour), nil, after(-50*time.Minute)
	st.StartedAt = after(-2 * time.Hour)
	r := setting{fake: &fake{statuses: []message.Status{st, ended(message.Counts{message.Sent: 1})}}}.run(t, "watch", "b1")
	require.Contains(t, r.stdout, "15:00:00 running 600/1,000: ")
	require.Contains(t, r.stdout, "ends now, 4 reports awaited\n", "an estimate that has passed is not in the past")
}

func TestALineFitsTheTerminal(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short", clipWidth("short", 5))
	require.Equal(t, "shor…", clipWidth("shorter", 5))
	require.Equal(t, "语…", clipWidth("语语语", 4), "wide characters take two columns")
	require.Equal(t, "…", clipWidth("shorter", 0))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	res := message.CancelResult{
		Batch: "b1", Canceled: []string{"id-1", "id-2"}, Sent: []string{"id-3"}, InFlight: []string{"id-4"}, Ended: []string{},
		Counts: message.CancelCounts{Canceled: 2, Sent: 1, InFlight: 1}, Confirmed: true,
	}
	f := fake{cancel: res}
	both(t, "cancel", with(f), "cancel", "b1")
	r := setting{fake: &f}.run(t, "cancel", "b1", "--message", "3", "--message", "a,b", "--reason", "wrong price")
	require.Equal(t, 0, r.code)
	require.Equal(t, message.CancelRequest{Reason: "wrong price", Messages: []string{"3", "a,b"}}, f.asked)

	res.Canceled = nil
	for i := range 50 {
		res.Canceled = append(res.Canceled, fmt.Sprintf("id-%d", i))
	}
	require.Contains(t, with(fake{cancel: res})().run(t, "cancel", "b1").stdout, "… and 30 more\n")
}

// The lists of a large batch are not in the answer.
func TestCancelOfALargeBatch(t *testing.T) {
	t.Parallel()
	both(t, "cancel.large", with(fake{cancel: message.CancelResult{
		Batch: "b1", Counts: message.CancelCounts{Canceled: 900_000, Sent: 99_000, InFlight: 48, Ended: 952}, Confirmed: true,
	}}), "cancel", "b1")
}

func TestACancelThatNoWorkerConfirms(t *testing.T) {
	t.Parallel()
	f := fake{
		cancel: message.CancelResult{Batch: "b1", Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{}},
		err:    fmt.Errorf("the cancel is recorded but not confirmed: %w", starter.ErrNoWorker),
	}
	both(t, "cancel.unconfirmed", with(f), "cancel", "b1")
	f.err = nil
	require.Equal(t, 1, with(f)().run(t, "cancel", "b1").code)
	require.Equal(t, 4, with(fake{err: starter.ErrNotFound})().run(t, "cancel", "b1").code)
}

func TestControls(t *testing.T) {
	t.Parallel()
	both(t, "pause", with(fake{pause: message.PauseResult{Batch: "b1", InFlight: []string{"id-4"}}}), "pause", "b1")
	many := make([]string, 21)
	require.Equal(t, "batch b1 is paused, 21 in flight\n", with(fake{pause: message.PauseResult{Batch: "b1", InFlight: many}})().run(t, "pause", "b1").stdout)
	both(t, "resume", with(fake{}), "resume", "b1")
	f := fake{move: message.RescheduleResult{Batch: "b1", Rescheduled: 3, Unchanged: 1}}
	both(t, "reschedule", with(f), "reschedule", "b1", "--send-after", "2h")
	past := setting{fake: &f}.run(t, "reschedule", "b1", "--send-after", "2020-01-01T00:00:00Z")
	require.Contains(t, past.stdout, "now due 2026-11-20 15:00 UTC, now; 1 unchanged", "a past time is due at once")
	r := setting{fake: &f}.run(t, "reschedule", "b1", "--send-after", "2026-11-21t18:00:00+01:00")
	require.Equal(t, 0, r.code)
	require.Equal(t, message.RescheduleRequest{SendAfter: "2026-11-21T17:00:00Z"}, f.asked)
	for _, command := range []string{"pause", "resume"} {
		require.Equal(t, 1, with(fake{err: starter.ErrEnded})().run(t, command, "b1").code)
	}
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	f := fake{started: starter.Started{ID: "b2", Total: 3, RedriveOf: "b1"}, statuses: []message.Status{ended(message.Counts{message.Sent: 3})}}
	both(t, "redrive", with(f), "redrive", "b1")
	r := setting{fake: &f}.run(t, "redrive", "b1", "--state", "failed,unknown", "--code", "http_500", "--id", "b2", "--wait", "-o", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, starter.RedriveQuery{States: []string{"failed", "unknown"}, Code: "http_500", ID: "b2"}, f.asked)
	require.Equal(t, "completed", document(t, r)["status"].(map[string]any)["state"])
	require.Empty(t, r.stderr)
	f.started.Redriven = &starter.Redriven{Unknown: 14, AlreadyRedriven: 3, Doubtful: 1200}
	for _, format := range []string{"text", "json"} {
		r = setting{fake: &f}.run(t, "redrive", "b1", "-o", format)
		require.Equal(t, `volley: 14 unknown left out: may have arrived (--state unknown sends them again)
volley: 3 left out: other redrives have taken them (--again sends them again)
volley: 1,200 of them were unknown: they may have arrived before, and do so twice
`, r.stderr)
	}
	require.EqualValues(t, 14, document(t, r)["unknown"])
	require.EqualValues(t, 3, document(t, r)["alreadyRedriven"])
	f.started.Redriven = &starter.Redriven{Doubtful: 1200}
	f.started.Existing = true
	require.Empty(t, setting{fake: &f}.run(t, "redrive", "b1").stderr, "nothing is sent again")
	f.started = starter.Started{ID: "b2", Total: 200, RedriveOf: "b1", Redriven: &starter.Redriven{}}
	require.Contains(t, setting{fake: &f}.run(t, "redrive", "b1").stderr, "`volley resume b2` lets it go on", "its guard may pause it")
}

func TestSetup(t *testing.T) {
	t.Parallel()
	both(t, "setup", with(fake{names: []string{"VolleyState", "VolleyDue"}}), "setup")
	both(t, "setup.nothing", with(fake{}), "setup")
	both(t, "setup.store", with(fake{names: []string{"VolleyState"}, storeMade: true}), "setup")
	both(t, "setup.away", with(fake{storeError: fmt.Errorf("%w: batch b1 runs out of it", starter.ErrStoreAway)}), "setup")
	both(t, "setup.new-store", with(fake{storeError: starter.ErrStoreAway}), "setup", "--new-store")
	both(t, "setup.default-store", with(fake{storeError: errors.New("mkdir /var/lib/volley: permission denied")}), "setup")
	s := setting{fake: &fake{storeError: errors.New("mkdir /srv/volley: permission denied")}}
	s.env = []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"store: file:///srv/volley\n")}
	require.Equal(t, exitFailed, s.run(t, "setup").code, "somebody wants that store")
}

func TestSelectorsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	all := []string{"b1", "--to", "+49 151 1", "--reference", "c-1", "--meta", "k=v"}
	want := message.Selector{To: "+49 151 1", Reference: "c-1", Meta: "k=v", Account: "hook"}
	f := fake{names: []string{"m1"}, cancel: message.NewCancelResult("b1")}
	run := func(code int, args ...string) result {
		t.Helper()
		s := withConfig(t, &f)
		r := s.run(t, args...)
		require.Equal(t, code, r.code, r.stderr)
		return r
	}
	states := append(all, "--state", "not-sent", "--code", "x", "--account", "hook")
	run(0, append([]string{"messages"}, states...)...)
	require.Equal(t, message.PageQuery{State: "not-sent", Code: "x", Limit: 100, Selector: want}, f.asked)
	run(0, append([]string{"results"}, states...)...)
	require.Equal(t, starter.ResultQuery{State: "not-sent", Code: "x", Selector: want}, f.asked)
	run(0, append([]string{"cancel"}, states...)...)
	require.Equal(t, starter.ResultQuery{State: "not-sent", Code: "x", Selector: want}, f.selected)
	require.Equal(t, message.CancelRequest{Messages: []string{"m1"}}, f.asked)
	run(0, append(append([]string{"redrive"}, all...), "--state", "not-sent", "--code", "x", "--from-account", "hook", "--account", "spare", "--again")...)
	q := f.asked.(starter.RedriveQuery)
	require.NotNil(t, q.Reroute)
	q.Reroute, q.Ask = nil, nil
	require.Equal(t, starter.RedriveQuery{States: []string{"not-sent"}, Code: "x", Selector: want, Through: "spare", Again: true}, q)

	f.asked = nil
	for _, args := range [][]string{
		{"cancel", "b1", "--to", ""},
		{"cancel", "b1", "--to", "x", "--message", "1"},
		{"messages", "b1", "--meta", "k"},
		{"redrive", "b1", "--account", "nope"},
		{"redrive", "b1", "--to", ""},
		{"redrive", "b1", "--account", "hook", "--tenant", "acme"},
	} {
		run(2, args...)
		require.Nil(t, f.asked, args)
	}
}

func TestAMessageOfWhichThereAreSeveralIsNotShown(t *testing.T) {
	t.Parallel()
	f := fake{err: &starter.SeveralError{Name: "c-1", Rows: []message.Row{{Index: 4, State: message.Sent}, {Index: 7, State: message.Failed}}, More: true}}
	r := setting{fake: &f}.run(t, "message", "b1", "c-1")
	require.Equal(t, 2, r.code)
	require.Equal(t, "volley: several messages are \"c-1\", by index: 4 (sent), 7 (failed), …; name one by its index\n", r.stderr)
}

func TestAMessageShowsItsTextAgain(t *testing.T) {
	t.Parallel()
	text, reference := "Hi Ann", "c-1"
	f := fake{row: message.Row{Index: 1, To: "x", Text: &text}, page: message.Page{Messages: []message.Row{{To: "x", Reference: &reference}}}}
	require.Contains(t, setting{fake: &f}.run(t, "message", "b1", "1").stdout, "text, rendered again  Hi Ann")
	require.Equal(t, "Hi Ann", document(t, setting{fake: &f}.run(t, "message", "b1", "1", "-o", "json"))["text"])
	require.Contains(t, setting{fake: &f}.run(t, "messages", "b1").stdout, "c-1")
	f.row.Text = nil
	require.NotContains(t, setting{fake: &f}.run(t, "message", "b1", "1", "-o", "json").stdout, "text")
}

func TestAnAccountThatNoWorkerServesIsNamed(t *testing.T) {
	t.Parallel()
	st := running()
	st.SendingThrough = []string{"hook", "idle"}
	f := &fake{statuses: []message.Status{st}, unserved: []string{"idle", "elsewhere"}}
	r := setting{fake: f}.run(t, "status", "b1")
	require.Contains(t, r.stderr, "no worker serves account idle, its messages wait: start `volley worker`")
	require.NotContains(t, r.stderr, "hook")
	require.NotContains(t, r.stderr, "elsewhere")
}

func TestWatchingSaysWhatHoldsABatch(t *testing.T) {
	t.Parallel()
	st := running()
	st.Held = &message.HoldView{By: message.HeldByAccount, Reason: "the credentials were refused (http_401)", Since: moment}
	st.Rate, st.EstimatedEnd = 0, nil
	r := setting{fake: &fake{statuses: []message.Status{st, ended(message.Counts{message.Sent: 1})}}}.run(t, "watch", "b1")
	require.Contains(t, r.stdout, "held by its account itself: the credentials were refused (http_401)")
}
