package message_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestACancelsAnswerListsMessagesByWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	res := message.NewCancelResult("a")
	res.Add("1", message.CancelEffectOf(message.Canceled, true))
	res.Add("2", message.CancelEffectOf(message.Canceled, false))
	res.Add("3", message.CancelEffectOf(message.Delivered, true))
	res.Add("4", message.CancelEffectOf(message.Sending, true))
	res.Add("5", message.CancelEffectOf(message.Failed, true))
	require.Equal(t, message.CancelResult{
		Batch: "a", Confirmed: true, Canceled: []string{"1"}, Sent: []string{"3"}, InFlight: []string{"4"}, Ended: []string{"2", "5"},
		Counts: message.CancelCounts{Canceled: 1, Sent: 1, InFlight: 1, Ended: 2},
	}, res)
	require.Equal(t, map[string]message.CancelEffect{
		"1": message.CancelCanceled, "2": message.CancelEnded, "3": message.CancelSent, "4": message.CancelInFlight, "5": message.CancelEnded,
	}, maps.Collect(res.All()))

	for i := range message.MaxListed {
		require.NotNil(t, res.Ended, "%d messages", i+5)
		res.Add(strconv.Itoa(i), message.CancelSent)
		if i+6 > message.MaxListed {
			break
		}
	}
	require.Equal(t, message.CancelResult{
		Batch: "a", Confirmed: true, Counts: message.CancelCounts{Canceled: 1, Sent: message.MaxListed - 3, InFlight: 1, Ended: 2},
	}, res, "above a thousand there are no lists")
}
