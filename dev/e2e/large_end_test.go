package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	common "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
)

// folders are the directories of the lab's store.
func (l *lab) folders(t *testing.T, id string) []string {
	t.Helper()
	dirs, err := l.store.Find(t.Context(), starter.DefaultTenant, id)
	require.NoError(t, err)
	return dirs
}

func TestLargeBatchInAStoreThatIsNotTheWorkersIsRefused(t *testing.T) {
	t.Parallel()
	l := shared.own(t, groups, time.Millisecond)
	l.serve(t)
	other, err := store.Open(t.Context(), "file://"+t.TempDir(), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	_, err = other.Mark(t.Context(), nil)
	require.NoError(t, err)
	s := starter.New(l.client, starter.Options{Store: other, TaskQueue: queueOf(t)})
	r := l.request(t, l.served[0].Name, "Hi ${name}", notes(t, 30))
	_, err = s.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrStoreNotShared)
	require.Zero(t, l.sandbox.Counts().Total)
	dirs, err := other.Find(t.Context(), starter.DefaultTenant, r.ID)
	require.NoError(t, err)
	require.Empty(t, dirs)

	// The server removes the workflow by itself, which takes a moment.
	require.Eventually(t, func() bool {
		_, err := l.client.DescribeWorkflowExecution(t.Context(), starter.WorkflowID(r.Ref), "")
		return gone(err)
	}, 5*time.Minute, 100*time.Millisecond)
	_, err = l.starter.Start(t.Context(), r)
	require.NoError(t, err)
	status, rows := l.wait(t, r.Ref)
	require.Equal(t, 30, status.Counts[message.Sent])
	l.agree(t, rows)
}

// gone reports whether a workflow is not there.
func gone(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}

// forget deletes a workflow from Temporal, as the end of its retention does.
func (l *lab) forget(t *testing.T, workflowID string) {
	t.Helper()
	_, err := l.client.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflowID},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := l.client.DescribeWorkflowExecution(t.Context(), workflowID, "")
		return gone(err)
	}, 5*time.Minute, 100*time.Millisecond)
}

func TestLargeBatchIsReadFromTheStoreUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 1_100)
		all[7].To += "+reject"
		all[1_050].Params = nil
		ref := l.large(t, all)
		before, rows := l.wait(t, ref)
		l.agree(t, rows)

		id := starter.WorkflowID(ref)
		for _, end := range []string{"", "~0001", "~0002"} {
			l.forget(t, id+end)
		}
		status, again := l.wait(t, ref)
		before.AsOf, status.AsOf = time.Time{}, time.Time{}
		require.Equal(t, before, status)
		require.Equal(t, rows, again)
		row, err := l.starter.Message(t.Context(), ref, "7")
		require.NoError(t, err)
		require.Equal(t, message.EventInvalid, row.Trail[len(row.Trail)-1].Event)

		l.remove(t, ref)
		require.Empty(t, l.folders(t, ref.ID))
		_, err = l.starter.Status(t.Context(), ref)
		require.ErrorIs(t, err, starter.ErrNotFound)
		require.ErrorIs(t, l.starter.Delete(t.Context(), ref), starter.ErrNotFound)
	})
}

func TestLargeBatchIsDeletedEverywhere(t *testing.T) {
	t.Parallel()
	l := shared.own(t, groups, time.Millisecond)
	l.serve(t)
	ref := l.large(t, notes(t, 1_100))
	require.ErrorIs(t, l.starter.Delete(t.Context(), ref), starter.ErrStillRunning, "it may still run")
	l.wait(t, ref)
	l.remove(t, ref)
	require.Empty(t, l.folders(t, ref.ID))
	for _, end := range []string{"~0001", "~0002", ""} {
		require.Eventually(t, func() bool {
			_, err := l.client.DescribeWorkflowExecution(t.Context(), starter.WorkflowID(ref)+end, "")
			return gone(err)
		}, 5*time.Minute, 100*time.Millisecond, end)
	}
}

func TestLargeBatchesThatHaveEndedArePurgedAndThoseThatRunStay(t *testing.T) {
	t.Parallel()
	l := shared.own(t, groups, time.Millisecond)
	l.serve(t)
	var old, open starter.Ref
	t.Run("old", func(t *testing.T) { old = l.large(t, notes(t, 50)) })
	t.Run("open", func(t *testing.T) {
		all := notes(t, 50)
		for i := range all {
			all[i].SendAfter = "1h"
		}
		open = l.large(t, all)
	})
	l.wait(t, old)
	none, err := l.starter.Purge(t.Context(), time.Hour, false)
	require.NoError(t, err)
	require.Zero(t, none.Folders)
	plan, err := l.starter.Purge(t.Context(), 0, true)
	require.NoError(t, err)
	done, err := l.starter.Purge(t.Context(), 0, false)
	require.NoError(t, err)
	require.Equal(t, plan, done)
	require.Equal(t, 1, done.Folders)
	require.Equal(t, old.ID, done.List[0].Batch)
	require.Empty(t, l.folders(t, old.ID))
	require.Len(t, l.folders(t, open.ID), 1)
	status, err := l.starter.Status(t.Context(), old)
	require.NoError(t, err, "Temporal still has it")
	require.Equal(t, 50, status.Counts[message.Sent])

	_, err = l.starter.Reschedule(t.Context(), open, message.RescheduleRequest{SendAfter: "0s"})
	require.NoError(t, err)
	status, rows := l.wait(t, open)
	require.Equal(t, 50, status.Counts[message.Sent])
	l.agree(t, rows)
}

func TestLargeBatchIsRedrivenAsOne(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 2_500)
		var failed []string
		for i := range all {
			if i%2 == 0 {
				all[i].To += "+reject"
				failed = append(failed, all[i].To)
			}
		}
		old := l.large(t, all)
		l.passGuard(t, old)
		l.wait(t, old)
		_, err := l.starter.Redrive(t.Context(), old, starter.RedriveQuery{States: []string{"canceled"}})
		require.ErrorIs(t, err, starter.ErrNotFound)
		again, err := l.starter.Redrive(t.Context(), old, starter.RedriveQuery{})
		require.NoError(t, err)
		require.Equal(t, len(failed), again.Total)
		require.Equal(t, 2, again.Segments)
		same, err := l.starter.Redrive(t.Context(), old, starter.RedriveQuery{})
		require.NoError(t, err)
		require.True(t, same.Existing)
		require.Equal(t, again.ID, same.ID)
		l.passGuard(t, starter.Ref{ID: again.ID})
		status, rows := l.wait(t, starter.Ref{ID: again.ID})
		require.Equal(t, old.ID, *status.RedriveOf)
		require.Equal(t, l.mode, status.Dispatch)
		require.Equal(t, len(failed), status.Counts[message.Failed])
		for i, row := range rows {
			require.Equal(t, failed[i], row.To)
		}
	})
}

// passGuard waits until a batch has paused itself, and resumes it.
func (l *lab) passGuard(t *testing.T, ref starter.Ref) {
	t.Helper()
	l.until(t, ref, func(s message.Status) bool {
		return s.State == message.BatchPaused && s.Held != nil && s.Held.By == message.HeldByGuard
	})
	_, err := l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
}

func TestLargeBatchThatTemporalEndedStillAddsUp(t *testing.T) {
	t.Parallel()
	inBothWays(t, 50*time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 3_000)
		for i := range all {
			switch {
			case i >= 2_000:
				all[i].SendAfter = "1h"
			case i%20 == 3:
				all[i].To += "+slow"
			case i%20 == 4:
				all[i].To += "+reject"
			}
		}
		all[9].Params = nil
		ref := l.large(t, all)
		l.some(t, 700)
		require.NoError(t, l.client.TerminateWorkflow(t.Context(), starter.WorkflowID(ref), "", "test"))
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchFailed, status.State)
		require.Equal(t, 1, status.Counts[message.Rejected])
		require.GreaterOrEqual(t, status.Counts[message.Canceled], 1_000, "%v", *status.Counts)
		for _, row := range rows[2_000:] {
			require.Equal(t, message.Canceled, row.State, fmt.Sprint(row.Index))
		}
		l.agree(t, rows)
	})
}
