package e2e_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

func TestLargeBatchWithDeadRecipientsInEverySegmentSendsTheOthers(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		l.served[0].RetryInitial = 40 * time.Second
		l.serve(t)
		total, down := 4_000, 40
		if l.mode == messages {
			total, down = 2_000, 20
		}
		all := notes(t, total)
		for i := range all {
			if i%message.SegmentMessages >= 990 {
				all[i].To += "+down"
			}
		}
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool {
			return s.Counts[message.Sent] == total-down && s.Counts[message.Retrying] == down
		})
		var o message.Overview
		require.Eventually(t, func() bool {
			v, err := l.client.QueryWorkflow(t.Context(), starter.WorkflowID(ref), "", contract.QueryOverview)
			return err == nil && v.Get(&o) == nil && o.Large.Segments == strings.Repeat("w", total/message.SegmentMessages)
		}, time.Minute, 100*time.Millisecond, "each segment goes on with what it has left to send")

		last := strconv.Itoa(message.SegmentMessages - 1)
		var row message.Row
		require.Eventually(t, func() bool {
			var err error
			row, err = l.starter.Message(t.Context(), ref, last)
			return err == nil && row.State == message.Retrying && row.Attempts == 2
		}, 5*time.Minute, 200*time.Millisecond)
		require.Len(t, row.Trail, 2, "its two attempts")
		require.Equal(t, []int{1, 2}, []int{row.Trail[0].Attempt, row.Trail[1].Attempt})

		res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: "dead"})
		require.NoError(t, err)
		require.Equal(t, total, res.Counts.Canceled+res.Counts.Sent+res.Counts.InFlight+res.Counts.Ended)
		status, rows := l.wait(t, ref)
		require.Equal(t, total-down, status.Counts[message.Sent])
		require.Equal(t, down, status.Counts[message.Canceled])
		l.agree(t, rows)
		row, err = l.starter.Message(t.Context(), ref, last)
		require.NoError(t, err)
		require.Len(t, row.Trail, 3)
		require.Equal(t, message.EventCanceled, row.Trail[2].Event)
	})
}
