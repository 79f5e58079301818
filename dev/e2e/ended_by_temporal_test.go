package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

func (l *lab) terminate(t *testing.T, workflowID string) {
	t.Helper()
	err := l.client.TerminateWorkflow(t.Context(), workflowID, "", "test")
	if !gone(err) { // it has ended by itself
		require.NoError(t, err)
	}
}

// together holds a batch's status to its results, also to one that is asked for once more,
// and these to what the sandbox has: nothing that it took is said not to have left.
func (l *lab) together(t *testing.T, ref starter.Ref) (message.Status, []message.Row) {
	t.Helper()
	status, rows := l.wait(t, ref)
	l.agree(t, rows)
	again, err := l.starter.Status(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, *status.Counts, *again.Counts)
	return status, rows
}

func TestSegmentsThatOthersTerminateAreClosedOut(t *testing.T) {
	t.Parallel()
	inBothWays(t, 300*time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 4_500)
		for i := range all {
			if i%10 == 3 {
				all[i].To += "+slow"
			}
		}
		ref := l.large(t, all)
		rnd := rand.New(rand.NewPCG(7, 7))
		for _, number := range []int{2, 1, 4} {
			l.some(t, l.sandbox.Counts().Total+50+int64(rnd.IntN(300)))
			l.terminate(t, fmt.Sprintf("%s~%04d", starter.WorkflowID(ref), number))
		}
		status, rows := l.together(t, ref)
		require.Equal(t, message.BatchCompleted, status.State, "it lives on")
		lost := slices.DeleteFunc(slices.Clone(rows), func(r message.Row) bool { return r.Code != "segment_lost" })
		require.NotEmpty(t, lost, "%v", *status.Counts)
		require.NotZero(t, status.Counts[message.Sent])

		sent := slices.IndexFunc(rows[1000:2000], func(r message.Row) bool { return r.State == message.Sent })
		if sent >= 0 {
			got, err := l.starter.RouteReports(t.Context(), starter.WorkflowID(ref), []message.Report{
				{ID: rows[1000+sent].ID, State: message.Delivered, Account: rows[1000+sent].Account},
			})
			require.NoError(t, err)
			require.Equal(t, 1, got.Kept, "reports of what the segment had sent are taken")
		}
		again, err := l.starter.Redrive(t.Context(), ref, starter.RedriveQuery{})
		require.NoError(t, err)
		require.Equal(t, status.Counts[message.Failed]+status.Counts[message.Expired], again.Total, "what had not left")
		require.Equal(t, status.Counts[message.Unknown], again.Redriven.Unknown)
		l.wait(t, starter.Ref{ID: again.ID})
	})
}

// events waits until a workflow has so many events, or has ended.
func (l *lab) events(t *testing.T, workflowID string, n int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := l.client.DescribeWorkflowExecution(t.Context(), workflowID, "")
		info := d.GetWorkflowExecutionInfo()
		return err == nil && (info.GetHistoryLength() >= n || info.GetCloseTime() != nil)
	}, 5*time.Minute, 2*time.Millisecond)
}

func TestWorkflowsThatAreTerminatedAtAnyMoment(t *testing.T) {
	t.Parallel()
	inBothWays(t, 200*time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		l.starter = l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy, MaxMessages: 1})
		rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
		for i := range 6 {
			end, n := []string{"", "~0001"}[i%2], int64(1+rnd.IntN(20))
			if l.mode == messages {
				n = int64(1 + rnd.IntN(250))
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				all := notes(t, 130)
				for i := range all {
					all[i].To += []string{"", "", "+slow", "+drop"}[i%4]
				}
				ref := l.large(t, all)
				id := starter.WorkflowID(ref) + "~0001"
				l.events(t, starter.WorkflowID(ref), 11) // its segment is under way
				l.events(t, id, n)
				l.terminate(t, starter.WorkflowID(ref)+end)
				status, _ := l.together(t, ref)
				t.Logf("%q at event %d: %s %v", end, n, status.State, *status.Counts)
			})
		}
	})
}

func TestLargeBatchWithManySegmentsUnderWayIsTerminated(t *testing.T) {
	t.Parallel()
	inBothWays(t, 2*time.Second, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 20_000)
		for i := range all {
			if i%1000 > 900 { // so that many segments run at once
				all[i].To += "+slow"
			}
		}
		ref := l.large(t, all)
		l.some(t, 3_000)
		l.terminate(t, starter.WorkflowID(ref))
		status, rows := l.together(t, ref)
		require.Equal(t, message.BatchFailed, status.State)
		require.NotZero(t, status.Counts[message.Sent])
		require.NotZero(t, status.Counts[message.Canceled])
		require.Len(t, rows, 20_000)
		t.Logf("%v", *status.Counts)
	})
}

func TestSmallBatchIsTerminatedWhileAttemptsAreStartedAndQueued(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, time.Minute)
	l.served[0].Concurrency = 5
	l.serve(t)
	all := notes(t, 60)
	for i := range all {
		if i >= 10 {
			// Due later, or else the server may hand some of them out before the quick ones.
			all[i].To += "+slow"
			all[i].SendAfter = time.Now().Add(5 * time.Second).Format(time.RFC3339)
		}
	}
	r := l.request(t, l.served[0].Name, "Hi ${name}", all)
	r.Batch.Dispatch = ""
	small := starter.New(l.client, starter.Options{TaskQueue: queueOf(t), InFlight: 48, Wait: busy})
	_, err := small.Start(t.Context(), r)
	require.NoError(t, err)
	l.starter = small
	l.until(t, r.Ref, func(s message.Status) bool { return s.Counts[message.Sent] == 10 && s.Counts[message.Sending] == 48 })
	l.some(t, 15)
	l.terminate(t, starter.WorkflowID(r.Ref))
	status, rows := l.together(t, r.Ref)
	require.Equal(t, message.BatchFailed, status.State)
	require.Equal(t, 10, status.Counts[message.Sent])
	require.GreaterOrEqual(t, status.Counts[message.Unknown], 5)
	require.NotZero(t, status.Counts[message.Canceled], "those that no worker had taken, and those that had no attempt: %v", *status.Counts)
	for _, row := range rows {
		if row.State == message.Canceled {
			require.Zero(t, row.Attempts, "message %d", row.Index)
		}
	}
}

func TestBatchOfAnAccountWithoutWorkersIsTerminated(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, time.Millisecond)
	l.serve(t)
	l.served = []provider.Account{l.hook("nobody-"+queueOf(t), true)}
	ref := l.large(t, notes(t, 100))
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sending] > 0 })
	l.terminate(t, starter.WorkflowID(ref))
	status, _ := l.together(t, ref)
	require.Equal(t, message.Counts{message.Canceled: 100}, *status.Counts)
}
