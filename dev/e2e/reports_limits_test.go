package e2e_test

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"volley/dev/s3test"
	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
	"volley/workflows/contract"
)

// manyReports is how many reports come of one batch: 100,000, or VOLLEY_REPORTS.
func manyReports(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("VOLLEY_REPORTS"))
	if err != nil {
		return 100_000
	}
	return n
}

// deliveredOf are reports that messages of a batch, from one on, were delivered.
func (l *lab) deliveredOf(ref starter.Ref, from, n, total int) []message.Report {
	key := message.KeyOf(starter.WorkflowID(ref))
	all := make([]message.Report, n)
	for i := range all {
		all[i] = message.Report{ID: key.MessageID((from + i) % total), State: message.Delivered, Account: l.served[0].Name, At: 1}
	}
	return all
}

// report reports until the reports are taken, as a provider does.
func (l *lab) report(t *testing.T, all []message.Report) (again int) {
	t.Helper()
	require.Eventually(t, func() bool {
		out, err := l.starter.Report(t.Context(), all)
		if errors.Is(err, starter.ErrReportAgain) {
			again++
			return false
		}
		return err == nil && out.Accepted == len(all)
	}, 5*time.Minute, 200*time.Millisecond)
	return again
}

// runsOf are all runs of a workflow, as they are listed.
func (l *lab) runsOf(t *testing.T, workflowID string) []*workflowpb.WorkflowExecutionInfo {
	t.Helper()
	res, err := l.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: 1000, Query: "WorkflowId = '" + workflowID + "'",
	})
	require.NoError(t, err)
	return res.GetExecutions()
}

// However many reports come of a batch, while it runs and after that, and however fast,
// each one that was taken counts, and no history comes near a limit of the server.
func TestNoNumberOfReportsIsTooMuch(t *testing.T) {
	t.Parallel()
	const total = 10_000
	l := shared.own(t, groups, time.Millisecond)
	l.serve(t)
	began := time.Now()
	ref := l.large(t, notes(t, total))
	signals := make(chan int)
	var again atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range signals {
				again.Add(int64(l.report(t, l.deliveredOf(ref, i*message.MaxReports, message.MaxReports, total))))
			}
		})
	}
	n := manyReports(t) / message.MaxReports
	for i := range n {
		if i == n/2 {
			l.until(t, ref, func(s message.Status) bool { return s.FinishedAt != nil })
		}
		signals <- i
	}
	close(signals)
	all.Wait()
	taken := time.Since(began)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Delivered] == total })

	keeper := contract.ReportsID(starter.WorkflowID(ref))
	var runs []*workflowpb.WorkflowExecutionInfo
	require.Eventually(t, func() bool {
		runs = l.runsOf(t, keeper)
		for _, run := range runs {
			if run.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				return false
			}
		}
		return len(runs) > 0
	}, 5*time.Minute, 100*time.Millisecond)
	var events, bytes int64
	for _, run := range runs {
		require.Contains(t, []enumspb.WorkflowExecutionStatus{
			enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
		}, run.GetStatus())
		events, bytes = max(events, run.GetHistoryLength()), max(bytes, run.GetHistorySizeBytes())
	}
	t.Logf("%d reports taken in %s, done in %s, %d came again; %d runs of at most %d events and %d bytes",
		n*message.MaxReports, taken, time.Since(began), again.Load(), len(runs), events, bytes)
	require.Less(t, events, int64(20_000))
	require.Less(t, bytes, int64(30<<20))
}

// Reports of many segments are brought to a store that is far away in a few rounds of
// requests: 5,000 reports in 50 rounds of 50 ms are 2,000 a second.
func TestReportsAreRoutedInFewRounds(t *testing.T) {
	t.Parallel()
	const total = 20_000
	l := shared.own(t, groups, time.Millisecond)
	require.NoError(t, l.store.Close())
	far := s3test.Start(t)
	var err error
	l.store, err = store.Open(t.Context(), far.URL(), store.Options{}) // the lab closes it
	require.NoError(t, err)
	_, err = l.store.Mark(t.Context(), nil)
	require.NoError(t, err)
	l.starter = l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy})
	l.serve(t)
	ref := l.large(t, notes(t, total))
	l.wait(t, ref)
	far.SetDelay(s3test.Delay)
	far.Reset()
	reports := make([]message.Report, 0, 5_000)
	for from := 0; from < total; from += 4 {
		reports = append(reports, l.deliveredOf(ref, from, 1, total)...)
	}
	out, err := l.starter.RouteReports(t.Context(), starter.WorkflowID(ref), reports)
	require.NoError(t, err)
	require.Equal(t, 5_000, out.Kept)
	load := far.Load()
	t.Logf("%d reports: %+v", len(reports), load)
	require.LessOrEqual(t, load.Rounds, 12, "not one after the other for each of 20 segments")
}
