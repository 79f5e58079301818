package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
