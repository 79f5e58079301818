package e2e_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestAThousandMessagesEachWithItsOwnOutcome(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 1000)
	want := make([]message.State, len(all))
	for i := range all {
		n := &all[i]
		want[i] = message.Sent
		switch i % 10 {
		case 1:
			if i%20 == 1 { // more of them are too many for a batch to go on by itself
				n.To += "+reject"
				want[i] = message.Failed
			}
		case 2:
			n.Params = nil
			want[i] = message.Rejected
		case 3:
			n.SendAfter, n.TTL = "2020-01-01T00:00:00Z", "1h"
			want[i] = message.Expired
		case 4:
			n.SendAfter = "1h"
			want[i] = message.Canceled
		case 5:
			n.To += "+flaky"
		case 6:
			n.To += "+limit"
		}
		switch i % 100 {
		case 7:
			n.To += "+drop"
		case 8:
			n.To += "+lost"
		}
	}
	ref := l.start(t, l.starter, "hook", all)

	var polls atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			s, err := l.starter.Status(t.Context(), ref)
			if err == nil && s.Counts.Total() != 1000 {
				t.Errorf("the counts add up to %d: %v", s.Counts.Total(), *s.Counts)
			}
			if err == nil {
				polls.Add(1)
			}
		}
	})
	var ids []string
	key := message.KeyOf(starter.WorkflowID(ref))
	for i := range all {
		if want[i] == message.Canceled {
			ids = append(ids, key.MessageID(i))
		}
	}
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Messages: ids, Reason: "not needed"})
	require.NoError(t, err)
	require.Equal(t, ids, res.Canceled)
	require.True(t, res.Confirmed)

	status, rows := l.wait(t, ref)
	close(done)
	wg.Wait()
	require.Greater(t, polls.Load(), int64(20))
	require.Equal(t, message.BatchCompleted, status.State)
	for i, row := range rows {
		require.Equal(t, want[i], row.State, "message %d to %s: %s %s", i, row.To, row.Code, row.Detail)
	}
	l.agree(t, rows)
}

func TestAttemptsThatNoWorkerTookAreWithdrawn(t *testing.T) {
	t.Parallel()
	l := shared
	sending := func(s message.Status) bool { return s.Counts[message.Sending] == 20 }

	t.Run("by a cancel", func(t *testing.T) {
		t.Parallel()
		ref := l.start(t, l.starter, "idle", notes(t, 20))
		l.until(t, ref, sending)
		res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
		require.NoError(t, err)
		require.Equal(t, message.CancelCounts{Canceled: 20}, res.Counts)
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchCanceled, status.State)
		for _, row := range rows {
			require.Zero(t, row.Attempts)
		}
		again, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
		require.NoError(t, err, "a closed batch answers from its result")
		require.Equal(t, message.CancelCounts{Ended: 20}, again.Counts)
	})
	t.Run("by a reschedule", func(t *testing.T) {
		t.Parallel()
		ref := l.start(t, l.starter, "idle", notes(t, 20))
		l.until(t, ref, sending)
		moved, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "24h"})
		require.NoError(t, err)
		require.Equal(t, message.RescheduleResult{Batch: ref.ID, Rescheduled: 20, Confirmed: true}, moved)
		s, err := l.starter.Status(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, 20, s.Counts[message.Scheduled])
		_, err = l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
		require.NoError(t, err)
		_, rows := l.wait(t, ref)
		for _, row := range rows {
			require.Zero(t, row.Attempts)
		}
	})
	t.Run("by a pause and handed over by a resume", func(t *testing.T) {
		t.Parallel()
		ref := l.start(t, l.starter, "idle", notes(t, 20))
		l.until(t, ref, sending)
		res, err := l.starter.Pause(t.Context(), ref)
		require.NoError(t, err)
		require.Empty(t, res.InFlight)
		s, err := l.starter.Status(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, message.BatchPaused, s.State)
		require.Equal(t, 20, s.Counts[message.Accepted])
		moved, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1h"})
		require.NoError(t, err)
		require.Equal(t, 20, moved.Rescheduled)
		_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "0s"})
		require.NoError(t, err)
		_, err = l.starter.Resume(t.Context(), ref)
		require.NoError(t, err)
		l.until(t, ref, sending)
		require.NoError(t, l.client.CancelWorkflow(t.Context(), starter.WorkflowID(ref), ""))
		status, _ := l.wait(t, ref)
		require.Equal(t, message.BatchCanceled, status.State)
		require.Equal(t, 20, status.Counts[message.Canceled])
		_, err = l.starter.Pause(t.Context(), ref)
		require.ErrorIs(t, err, starter.ErrEnded)
	})
}

func TestACancelWhileRequestsAreUnderWayNamesThem(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 30)
	for i := range 5 {
		all[i].To += "+slow"
	}
	for i := 5; i < 30; i++ {
		all[i].SendAfter = "1h"
	}
	ref := l.start(t, l.starter, "other", all)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sending] == 5 })
	// The workers have them once the server says that the attempts have started.
	require.Eventually(t, func() bool {
		id, want := starter.WorkflowID(ref), 5
		switch mode {
		case segments:
			id += "~0001"
		case groups: // one activity has all five
			id, want = id+"~0001", 1
		}
		d, err := l.client.DescribeWorkflowExecution(t.Context(), id, "")
		if err != nil {
			return false
		}
		started := 0
		for _, p := range d.GetPendingActivities() {
			if p.GetLastStartedTime() != nil {
				started++
			}
		}
		return started == want
	}, time.Minute, 20*time.Millisecond)
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "stop"})
	require.NoError(t, err)
	require.Equal(t, message.CancelCounts{Canceled: 25, InFlight: 5}, res.Counts)
	status, rows := l.wait(t, ref)
	require.Equal(t, message.BatchCanceled, status.State)
	require.Equal(t, 5, status.Counts[message.Sent], "what had left is followed to its end")
	l.agree(t, rows)
}

func TestABatchThatTemporalEndedIsReadFromItsClosedRun(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 12)
	all[0].Params = nil
	all[1].To += "+reject"
	for i := 6; i < 12; i++ {
		all[i].SendAfter = "1h"
	}
	ref := l.start(t, l.starter, "hook", all)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 4 && s.Counts[message.Failed] == 1 })
	require.NoError(t, l.client.TerminateWorkflow(t.Context(), starter.WorkflowID(ref), "", "test"))
	status, rows := l.wait(t, ref)
	require.Equal(t, message.BatchFailed, status.State)
	require.Equal(t, 4, status.Counts[message.Sent])
	require.Equal(t, 6, status.Counts[message.Canceled])
	require.Equal(t, 1, status.Counts[message.Rejected])
	require.Equal(t, 1, status.Counts[message.Failed])
	l.agree(t, rows)
}

func TestControlsWithoutAWorker(t *testing.T) {
	t.Parallel()
	l := shared
	s := l.newStarter(starter.Options{TaskQueue: "nobody"})
	ref := l.start(t, s, "hook", notes(t, 3))
	_, err := s.Status(t.Context(), ref)
	require.ErrorIs(t, err, starter.ErrNoWorker)
	res, err := s.Cancel(t.Context(), ref, message.CancelRequest{Reason: "late"})
	require.ErrorIs(t, err, starter.ErrNoWorker)
	require.False(t, res.Confirmed)

	stop, err := l.work("nobody", nil)
	require.NoError(t, err)
	defer stop()
	status, rows := l.wait(t, ref)
	require.Equal(t, 3, status.Counts[message.Canceled], "the recorded cancel comes before anything is sent")
	l.agree(t, rows)
}

func TestStartingIsIdempotent(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 2)
	ref := l.start(t, l.starter, "hook", all)
	require.Equal(t, ref, l.start(t, l.starter, "hook", all))
	l.wait(t, ref)
	require.Equal(t, ref, l.start(t, l.starter, "hook", all), "also once it has ended")
	_, rows := l.wait(t, ref)
	l.agree(t, rows)
	_, err := l.starter.Start(t.Context(), starter.Request{Ref: ref, Body: []byte("other"), Batch: &message.Batch{V: 1, Dialect: "volley"}})
	require.ErrorIs(t, err, starter.ErrConflict)
	_, err = l.starter.Status(t.Context(), starter.Ref{ID: "no-such"})
	require.ErrorIs(t, err, starter.ErrNotFound)
}

func TestRedriveSendsExactlyWhatFailed(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 10)
	for i := range 4 {
		all[i].To += "+reject"
	}
	old := l.start(t, l.starter, "hook", all)
	l.wait(t, old)
	again, err := l.starter.Redrive(t.Context(), old, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 4, again.Total)
	require.Equal(t, old.ID, again.RedriveOf)
	status, rows := l.wait(t, starter.Ref{ID: again.ID})
	require.Equal(t, old.ID, *status.RedriveOf)
	require.Equal(t, 4, status.Counts[message.Failed])
	for i, row := range rows {
		require.Equal(t, all[i].To, row.To)
	}
}

func TestListsFindBatchesByStateDialectAndTenant(t *testing.T) {
	t.Parallel()
	l := shared
	ref := l.start(t, l.starter, "hook", notes(t, 3))
	l.wait(t, ref)
	find := func(q starter.ListQuery) *message.Status {
		q.Limit = 1000
		page, err := l.starter.List(t.Context(), q)
		require.NoError(t, err)
		for i := range page.Batches {
			if page.Batches[i].ID == ref.ID {
				return &page.Batches[i]
			}
		}
		return nil
	}
	require.Eventually(t, func() bool { return find(starter.ListQuery{State: "completed", Dialect: "volley"}) != nil }, 30*time.Second, 100*time.Millisecond)
	s := find(starter.ListQuery{Counts: true})
	require.NotNil(t, s)
	require.Equal(t, 3, s.Counts[message.Sent])
	require.NotNil(t, find(starter.ListQuery{State: "running,completed", Dialect: "volley"}))
	require.Nil(t, find(starter.ListQuery{State: "running"}))
	require.Nil(t, find(starter.ListQuery{State: "running,paused,failed"}))
	require.Nil(t, find(starter.ListQuery{State: "running,completed", Dialect: "bird"}))
	require.Nil(t, find(starter.ListQuery{Tenant: "acme"}))
}
