package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter"
)

// crawling starts a batch whose requests take long, and few of them at once, and
// returns when some have arrived.
func (l *lab) crawling(t *testing.T) starter.Ref {
	t.Helper()
	l.served[0].Concurrency = 20
	l.serve(t)
	all := notes(t, 900)
	for i := range all {
		all[i].To += "+slow"
	}
	ref := l.large(t, all)
	l.some(t, 50)
	return ref
}

// onlyThese checks that nothing else has reached the sandbox.
func (l *lab) onlyThese(t *testing.T, some ...[]string) {
	t.Helper()
	may := map[string]bool{}
	for _, id := range slices.Concat(some...) {
		may[id] = true
	}
	for _, r := range l.sandbox.Received() {
		require.True(t, may[r.ID], "the message %s to %s left afterwards", r.ID, r.To)
	}
}

func TestLargeBatchIsCanceledInTheMiddleOfAGroup(t *testing.T) {
	t.Parallel()
	inBothWays(t, 400*time.Millisecond, func(t *testing.T, l *lab) {
		ref := l.crawling(t)
		res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "stop"})
		require.NoError(t, err)
		require.Equal(t, 900, len(res.Canceled)+len(res.Sent)+len(res.InFlight)+len(res.Ended))
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchCanceled, status.State)
		l.onlyThese(t, res.Sent, res.InFlight)
		require.Less(t, l.sandbox.Counts().Total, int64(900), "it took effect in the middle")
		l.agree(t, rows)
		ended := message.Counts{}
		for _, row := range rows {
			ended[row.State]++
			if slices.Contains(res.Canceled, row.ID) {
				require.Equal(t, message.Canceled, row.State)
			}
		}
		require.Equal(t, 900, ended[message.Canceled]+ended[message.Sent])
	})
}

func TestLargeBatchIsPausedInTheMiddleOfAGroup(t *testing.T) {
	t.Parallel()
	inBothWays(t, 400*time.Millisecond, func(t *testing.T, l *lab) {
		ref := l.crawling(t)
		res, err := l.starter.Pause(t.Context(), ref)
		require.NoError(t, err)
		l.until(t, ref, func(s message.Status) bool { return s.State == message.BatchPaused && s.Counts[message.Sending] == 0 })
		var sent []string
		for row, err := range l.starter.Results(t.Context(), ref, starter.ResultQuery{}) {
			require.NoError(t, err)
			if row.State == message.Sent {
				sent = append(sent, row.ID)
			} else {
				require.Equal(t, message.Accepted, row.State)
			}
		}
		l.onlyThese(t, sent)
		require.Less(t, len(sent), 900)
		for _, id := range res.InFlight {
			_, _, ok := message.ParseID(id)
			require.True(t, ok)
		}
		_, err = l.starter.Resume(t.Context(), ref)
		require.NoError(t, err)
		l.some(t, int64(len(sent))+20)
		_, err = l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
		require.NoError(t, err)
		_, rows := l.wait(t, ref)
		l.agree(t, rows)
	})
}

// Of 18 segments the first is sent at once, 16 wait for their time and one has not
// begun.
func TestLargeBatchIsControlledInSegmentsOfEveryKind(t *testing.T) {
	t.Parallel()
	l := shared.own(t, groups, time.Millisecond)
	l.serve(t)
	const total, first = 18_000, 1_000
	all := notes(t, total)
	for i := first; i < total; i++ {
		all[i].SendAfter = "1h"
	}
	ref := l.large(t, all)
	l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == first })
	require.Eventually(t, func() bool { return l.children(t, starter.WorkflowID(ref)) == 17 }, time.Minute, 50*time.Millisecond)

	key := message.KeyOf(starter.WorkflowID(ref))
	ended, running, waiting := key.MessageID(5), key.MessageID(1_500), key.MessageID(17_500)
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Messages: []string{ended, running, waiting}, Reason: "not these"})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{running, waiting}, res.Canceled)
	require.Equal(t, []string{ended}, res.Sent)

	_, err = l.starter.Pause(t.Context(), ref)
	require.NoError(t, err)
	moved, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "0s"})
	require.NoError(t, err)
	require.Equal(t, total-first-2, moved.Rescheduled)
	l.until(t, ref, func(s message.Status) bool {
		return s.State == message.BatchPaused && s.Counts[message.Sent] == first && s.Counts[message.Accepted] == total-first-2
	})
	resumed := time.Now()
	_, err = l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
	status, rows := l.wait(t, ref)
	require.Equal(t, total-2, status.Counts[message.Sent], "%v", *status.Counts)
	require.Equal(t, 2, status.Counts[message.Canceled])
	require.Equal(t, "not these", rows[1_500].Detail)
	require.Equal(t, "not these", rows[17_500].Detail)
	l.agree(t, rows)
	for i, r := range l.sandbox.Received() {
		require.True(t, i < first || r.At.After(resumed), "%s was sent before the resume", r.To)
	}
}

func TestLargeBatchWhoseTimesComeInAnyOrderSendsNothingEarly(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		all := notes(t, 3_000)
		order := rand.New(rand.NewPCG(1, 2))
		for i := range all {
			all[i].SendAfter = fmt.Sprintf("%dms", 2_000+order.IntN(6_000))
		}
		ref := l.large(t, all)
		status, rows := l.wait(t, ref)
		require.Equal(t, 3_000, status.Counts[message.Sent])
		l.agree(t, rows)
		due := map[string]time.Time{}
		for _, row := range rows {
			due[row.ID] = *row.DueAt
		}
		for _, r := range l.sandbox.Received() {
			require.False(t, r.At.Before(due[r.ID]), "%s was due at %s and arrived at %s", r.To, due[r.ID], r.At)
		}
		row, err := l.starter.Message(t.Context(), ref, strconv.Itoa(1_234))
		require.NoError(t, err)
		require.Equal(t, all[1_234].To, row.To)
	})
}

// LOAD_CANCELS and LOAD_PAUSES are how many controls a batch has to bear.
func loadOf(t *testing.T, name string, otherwise int) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// People unsubscribe one by one, at several gateways, while others pause and resume.
func TestLargeBatchBearsThousandsOfControls(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, time.Millisecond)
	l.serve(t)
	total, cancels, pauses := 10_000, loadOf(t, "LOAD_CANCELS", 160), loadOf(t, "LOAD_PAUSES", 5)
	all := notes(t, total)
	for i := range all {
		all[i].SendAfter = "2h"
	}
	ref := l.large(t, all)
	key := message.KeyOf(starter.WorkflowID(ref))
	order := rand.New(rand.NewPCG(3, 4)).Perm(total)[:cancels]
	began := time.Now()
	const callers = 8
	var group errgroup.Group
	for c := range callers {
		s := l.newStarter(starter.Options{TaskQueue: queueOf(t), Wait: busy}) // a process of its own
		group.Go(func() error {
			for k := c; k < cancels; k += callers {
				id := key.MessageID(order[k])
				res, err := s.Cancel(t.Context(), ref, message.CancelRequest{Messages: []string{id}, Reason: "unsubscribed"})
				if err != nil {
					return err
				}
				if len(res.Canceled) != 1 || res.Canceled[0] != id {
					return fmt.Errorf("message %s: %+v", id, res)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for range pauses {
			if _, err := l.starter.Pause(t.Context(), ref); err != nil {
				return err
			}
			if _, err := l.starter.Resume(t.Context(), ref); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, group.Wait())
	t.Logf("%d cancels and %d pauses took %s", cancels, pauses, time.Since(began).Round(time.Millisecond))

	l.agrees(t, ref, message.Counts{message.Canceled: cancels, message.Scheduled: total - cancels})
	d, err := l.client.DescribeWorkflowExecution(t.Context(), starter.WorkflowID(ref), "")
	require.NoError(t, err)
	info := d.GetWorkflowExecutionInfo()
	t.Logf("the batch's own history: %d events, %d bytes", info.GetHistoryLength(), info.GetHistorySizeBytes())
	require.Less(t, info.GetHistoryLength(), int64(300+2*25*pauses), "single cancels leave nothing in it")
	require.Less(t, info.GetHistorySizeBytes(), int64(4<<20))

	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "enough"})
	require.NoError(t, err)
	require.Equal(t, message.CancelCounts{Canceled: total - cancels, Ended: cancels}, res.Counts)
	status, rows := l.wait(t, ref)
	require.Equal(t, total, status.Counts[message.Canceled])
	require.Equal(t, "unsubscribed", rows[order[0]].Detail)
	require.Zero(t, l.sandbox.Counts().Total)
}

// agrees holds status and results of a batch to the same counts.
func (l *lab) agrees(t *testing.T, ref starter.Ref, want message.Counts) {
	t.Helper()
	st, err := l.starter.Status(t.Context(), ref)
	require.NoError(t, err)
	var counts message.Counts
	for row, err := range l.starter.Results(t.Context(), ref, starter.ResultQuery{}) {
		require.NoError(t, err)
		counts[row.State]++
	}
	require.Equal(t, want, counts)
	require.Equal(t, want, *st.Counts)
}
