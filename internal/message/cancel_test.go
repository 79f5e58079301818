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

func TestACancelsCountsAddUp(t *testing.T) {
	t.Parallel()
	res := message.NewCancelResult("a")
	for e, n := range map[message.CancelEffect]int{message.CancelCanceled: 1, message.CancelSent: 2, message.CancelInFlight: 3, message.CancelEnded: 4} {
		res.Count(e, n)
		res.Count(e, n)
	}
	one := message.CancelCounts{Canceled: 2, Sent: 4, InFlight: 6, Ended: 8}
	require.Equal(t, one, res.Counts)
	require.Empty(t, res.Canceled, "nothing is listed")
	require.Equal(t, message.CancelCounts{Canceled: 12, Sent: 24, InFlight: 36, Ended: 48}, one.Plus(message.CancelCounts{Canceled: 10, Sent: 20, InFlight: 30, Ended: 40}))
	res.Add("1", message.CancelCanceled)
	res.Add("2", message.CancelSent)
	for range res.All() {
		break // whoever stops is asked no more
	}
}
