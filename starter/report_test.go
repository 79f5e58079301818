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
	"volley/workflows"
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
		require.Equal(t, workflows.SignalReports, name)
		var q workflows.Reports
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
	stranger := tells(0, message.Delivered, "one")
	stranger.ID = message.KeyOf("batch-other").MessageID(0)
	nonsense := stranger
	nonsense.ID = "no id"
	out, err := s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one"), stranger, tells(1, message.Undelivered, "one"), nonsense})
	require.NoError(t, err)
	require.Equal(t, starter.ReportOutcome{Accepted: 2, Unknown: 2}, out)
	require.Equal(t, [][]message.Report{{tells(0, message.Delivered, "one"), tells(1, message.Undelivered, "one")}}, reported(t, f.flow(t, "batch-a")))
	require.Contains(t, f.lists[0].GetQuery(), "VolleyKey IN (")
	looked := len(f.lists)
	require.Greater(t, looked, 1, "a batch that is not there is looked for again")
	_, err = s.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one"), stranger})
	require.NoError(t, err)
	require.Len(t, f.lists, looked, "where reports go is remembered")
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
		long[i].Detail = strings.Repeat("x", 500)
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
	require.Equal(t, workflows.KeepReportsName, w.start.GetWorkflowType().GetName())
	require.Equal(t, workflows.KeepReportsInput{V: 1, Batch: "batch-a"}, decode[workflows.KeepReportsInput](t, w.start.GetInput().GetPayloads()[0]))
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
	require.Equal(t, starter.ReportOutcome{Unknown: 1}, out)
}
