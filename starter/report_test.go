package starter_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// tells is a report of a message of batch a.
func tells(index int, s message.State, account string) message.Report {
	return message.Report{ID: key.MessageID(index), State: s, Account: account, At: noon.UnixMilli() + 2000, Code: "gone", Detail: "off"}
}

// reported are the reports in the signals that a workflow has.
func reported(t *testing.T, w *flow) [][]message.Report {
	t.Helper()
	var all [][]message.Report
	for _, s := range w.signals {
		name, raw, _ := strings.Cut(s, " ")
		require.Equal(t, contract.SignalReports, name)
		var q contract.Reports
		require.NoError(t, json.Unmarshal([]byte(raw), &q))
		require.Equal(t, 1, q.V)
		all = append(all, q.Reports)
	}
	return all
}

// quickly are options for tests that look for batches that are not there.
func quickly() starter.Options {
	return starter.Options{ReportLag: time.Millisecond, ReportGather: time.Millisecond}
}

func TestReportsGoToTheBatchThatRuns(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	start(t, s, request("a", 3))
	nonsense := tells(0, message.Delivered, "one")
	nonsense.ID = "no id"
	out, err := s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one"), tells(1, message.Undelivered, "one"), nonsense})
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Accepted: 2, Foreign: 1}, out)
	require.Equal(t, [][]message.Report{{tells(0, message.Delivered, "one"), tells(1, message.Undelivered, "one")}}, reported(t, f.flow(t, "batch-a")))
	require.Empty(t, f.lists, "who started a batch knows where it is")

	other := starter.New(f.client, quickly())
	for range 2 {
		_, err = other.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one")})
		require.NoError(t, err)
	}
	require.Len(t, f.lists, 1, "where reports go is remembered")
	require.Contains(t, f.lists[0].GetQuery(), "VolleyKey IN (")
}

// clocked is a starter on a fake server, at a time that moves.
func clocked(t *testing.T) (*starter.Starter, *fake, *time.Time) {
	t.Helper()
	now := noon
	o := quickly()
	o.Now = func() time.Time { return now }
	s, f := newStarter(t, o)
	return s, f, &now
}

func TestReportsOfABatchThatIsNotListedYetComeAgain(t *testing.T) {
	t.Parallel()
	s, f, now := clocked(t)
	one := []message.Report{tells(0, message.Delivered, "one")}
	_, err := s.Report(t.Context(), one)
	require.ErrorIs(t, err, starter.ErrReportAgain)
	looks := len(f.lists)
	require.Greater(t, looks, 1, "it is looked for several times at first")
	_, err = s.Report(t.Context(), one)
	require.ErrorIs(t, err, starter.ErrReportAgain)
	require.Len(t, f.lists, looks, "and once a second then")
	*now = noon.Add(time.Second)
	start(t, starter.New(f.client, quickly()), request("a", 3)) // now it is listed
	out, err := s.Report(t.Context(), one)
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Accepted: 1}, out)
	require.Len(t, f.lists, looks+1)

	other := message.Report{ID: message.KeyOf("batch-other").MessageID(0)}
	known := append(one, other)
	out, err = s.Report(t.Context(), known)
	require.ErrorIs(t, err, starter.ErrReportAgain)
	require.Equal(t, starter.ReportOutcome{Accepted: 1}, out, "the others are taken")
	*now = noon.Add(6 * time.Minute)
	out, err = s.Report(t.Context(), known)
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Accepted: 1, Foreign: 1}, out, "no list takes five minutes")
}

func TestAReportOfNoBatchIsForeignOnceItIsFiveMinutesOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at      time.Duration // when it happened, from the first report on
		told    bool
		foreign time.Duration // from when on it is foreign
	}{
		"an hour old":              {-time.Hour, true, 0},
		"five minutes old":         {-5 * time.Minute, true, 0},
		"four minutes old":         {-4 * time.Minute, true, time.Minute},
		"of now":                   {0, true, 5 * time.Minute},
		"by a clock that is ahead": {time.Hour, true, 5 * time.Minute},
		"by a clock a bit ahead":   {2 * time.Minute, true, 5 * time.Minute},
		"without a time":           {0, false, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f, now := clocked(t)
			one := tells(0, message.Delivered, "one")
			one.At = 0
			if c.told {
				one.At = noon.Add(c.at).UnixMilli()
			}
			look := func(s *starter.Starter) (starter.ReportOutcome, error) {
				return s.Report(t.Context(), []message.Report{one})
			}
			if c.foreign > 0 {
				_, err := look(s)
				require.ErrorIs(t, err, starter.ErrReportAgain)
				*now = noon.Add(c.foreign - time.Second)
				_, err = look(s)
				require.ErrorIs(t, err, starter.ErrReportAgain)
			}
			*now = noon.Add(c.foreign)
			looks := len(f.lists)
			out, err := look(s)
			require.NoError(t, err)
			require.Equal(t, starter.ReportOutcome{Foreign: 1}, out)
			require.Greater(t, len(f.lists), looks, "it is looked for before")
			if c.told && c.at <= 0 {
				o := quickly()
				o.Now = func() time.Time { return *now }
				out, err = look(starter.New(f.client, o))
				require.NoError(t, err)
				require.Equal(t, starter.ReportOutcome{Foreign: 1}, out, "to another gateway, too")
			}
		})
	}
}

func TestABatchBetweenTwoRunsIsWhereItWas(t *testing.T) {
	t.Parallel()
	s, f, now := clocked(t)
	start(t, s, request("a", 3))
	order := f.order
	for _, c := range []struct {
		after  time.Duration
		listed bool
		err    error
	}{
		{after: 2 * time.Minute},
		{after: 4 * time.Minute},
		{after: 5 * time.Minute, listed: true},
		{after: 7 * time.Minute},
		{after: time.Hour, err: starter.ErrReportAgain},
		{after: time.Hour + time.Minute, listed: true},
	} {
		f.order = nil
		if c.listed {
			f.order = order
		}
		*now = noon.Add(c.after)
		of := tells(0, message.Delivered, "one")
		of.At = now.UnixMilli()
		_, err := s.Report(t.Context(), []message.Report{of})
		require.ErrorIs(t, err, c.err, c.after)
	}
	require.Len(t, reported(t, f.flow(t, "batch-a")), 5)
}

// What was believed of a batch is over between two looks.
func TestABatchThatWasJustLookedForInVainIsNotForeign(t *testing.T) {
	t.Parallel()
	s, f, now := clocked(t)
	start(t, s, request("a", 3))
	f.order = nil
	one := tells(0, message.Delivered, "one")
	one.At = 0
	*now = noon.Add(5*time.Minute - 200*time.Millisecond)
	_, err := s.Report(t.Context(), []message.Report{one})
	require.NoError(t, err)
	*now = noon.Add(5*time.Minute + 300*time.Millisecond)
	_, err = s.Report(t.Context(), []message.Report{one})
	require.ErrorIs(t, err, starter.ErrReportAgain)
}

// The id of a small batch was given to a large one: its workflow takes no reports.
func TestAnIDThatIsUsedAgainIsLookedFor(t *testing.T) {
	t.Parallel()
	b := newBig(t, quickly())
	now := noon
	o := quickly()
	o.Store, o.Now = b.store, func() time.Time { return now }
	s := starter.New(b.fake.client, o)
	b.fake.answer = nil
	start(t, s, request("a", 3))
	_, err := s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	delete(b.fake.flows, "batch-a")
	b.fake.order = nil
	b.fake.onStart(message.Overview{V: 1, Opened: true})
	b.startBig(t, 3500)
	now = now.Add(time.Minute)
	_, err = s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Empty(t, b.fake.flow(t, "batch-a").signals)
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~reports")), 1)
}

func TestAWorkflowThatIsFullIsBroughtNoReports(t *testing.T) {
	t.Parallel()
	b, _ := closedWithStore(t, 5)
	now := noon
	o := quickly()
	o.Store, o.Now = b.store, func() time.Time { return now }
	s := starter.New(b.fake.client, o)
	report := func(n int) (err error) {
		now = now.Add(2 * time.Second)
		var all []message.Report
		for i := range n {
			all = append(all, tells(i, message.Delivered, "one"))
		}
		_, err = s.Report(t.Context(), all)
		return err
	}
	require.NoError(t, report(2_000))
	w := b.fake.flow(t, "batch-a~reports")
	brought := len(w.signals)
	w.length = contract.MaxReportEvents
	require.ErrorIs(t, report(1), starter.ErrReportAgain)
	w.length, w.bytes = 0, contract.MaxReportBytes
	require.ErrorIs(t, report(1), starter.ErrReportAgain)
	require.Len(t, w.signals, brought)
	w.bytes--
	require.ErrorIs(t, report(20_000), starter.ErrReportAgain, "nor are there many between two looks")
	size := 0
	for _, raw := range w.signals[brought:] {
		size += len(raw)
	}
	require.Less(t, size, 2<<20)
	require.Greater(t, size, 1<<20)
}

func TestASignalBringsABoundedNumberOfReports(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	start(t, s, request("a", 3))
	var all []message.Report
	for i := range 1100 {
		all = append(all, tells(i, message.Delivered, "one"))
	}
	out, err := s.Report(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, 1100, out.Accepted)
	got := reported(t, f.flow(t, "batch-a"))
	require.Len(t, got, 3)
	for _, some := range got {
		require.LessOrEqual(t, len(some), message.MaxReports)
	}
	long := make([]message.Report, 500)
	for i := range long {
		long[i] = tells(i, message.Undelivered, "one")
		long[i].Detail = strings.Repeat("<", 500)
	}
	_, err = s.Report(t.Context(), long)
	require.NoError(t, err)
	require.Greater(t, len(f.flow(t, "batch-a").signals), 4, "and a bounded number of bytes")
}

func TestReportsAfterTheEndNeedAStore(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	start(t, s, request("a", 3))
	f.flow(t, "batch-a").complete(t, resultOf("a", 3))
	_, err := s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "two")})
	require.ErrorIs(t, err, starter.ErrNoStore)
	require.EqualError(t, err, "report to batch a: there is no store to keep late reports in")
	_, err = s.RouteReports(t.Context(), "batch-a", nil)
	require.ErrorIs(t, err, starter.ErrNoStore)
}

func TestReportsAfterTheEndGoToAWorkflowOfTheirOwn(t *testing.T) {
	t.Parallel()
	b, _ := closedWithStore(t, 5)
	for range 2 {
		out, err := b.Report(t.Context(), []message.Report{tells(0, message.Delivered, "two")})
		require.NoError(t, err)
		require.Equal(t, 1, out.Accepted)
	}
	w := b.fake.flow(t, "batch-a~reports")
	require.Equal(t, contract.KeepReportsName, w.start.GetWorkflowType().GetName())
	require.Equal(t, contract.KeepReportsInput{V: 1, Batch: "batch-a"}, decode[contract.KeepReportsInput](t, w.start.GetInput().GetPayloads()[0]))
	require.Len(t, reported(t, w), 2)
	w.complete(t, nil)
	_, err := b.Report(t.Context(), []message.Report{tells(0, message.Delivered, "two")})
	require.NoError(t, err)
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~reports")), 1, "it runs again")
}

func TestReportsOfALargeBatchAreRouted(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	_, err := b.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Empty(t, b.fake.flow(t, "batch-a").signals)
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~reports")), 1)
}

func TestAReporterGathersTheReportsOfABatch(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{ReportLag: time.Millisecond, ReportGather: time.Hour})
	start(t, s, request("a", 3))
	r := s.NewReporter()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			var some []message.Report
			for k := range 5 {
				some = append(some, tells(i*5+k, message.Delivered, "one"))
			}
			out, err := r.Add(t.Context(), some)
			require.NoError(t, err)
			require.Equal(t, 5, out.Accepted)
		})
	}
	wg.Wait() // five hundred leave at once
	got := reported(t, f.flow(t, "batch-a"))
	require.Len(t, got, 1)
	require.Len(t, got[0], 500)

	done := make(chan error)
	go func() {
		_, err := r.Add(t.Context(), []message.Report{tells(1, message.Delivered, "one")})
		done <- err
	}()
	require.Eventually(t, func() bool {
		r.Close() // what was gathered leaves
		select {
		case err := <-done:
			return err == nil
		default:
			return false
		}
	}, 10*time.Second, time.Millisecond)
	out, err := r.Add(t.Context(), []message.Report{tells(2, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, out.Accepted, "after Close nothing is gathered")
}

func TestAReporterTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	start(t, s, request("a", 3))
	f.flow(t, "batch-a").complete(t, resultOf("a", 3))
	r := s.NewReporter()
	defer r.Close()
	_, err := r.Add(t.Context(), []message.Report{tells(0, message.Delivered, "two")})
	require.ErrorIs(t, err, starter.ErrNoStore)
	out, err := r.Add(t.Context(), []message.Report{{ID: "none"}})
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Foreign: 1}, out)
}
