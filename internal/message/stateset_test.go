package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestStatesAreChosenByNameAndByWord(t *testing.T) {
	t.Parallel()
	chosen := func(names string) (out []string) {
		set, err := message.ParseStates(names)
		require.NoError(t, err, names)
		for _, s := range message.States() {
			if set.Has(s) {
				out = append(out, s.String())
			}
		}
		return out
	}
	require.Len(t, chosen(""), 12)
	require.Equal(t, []string{"sent"}, chosen("sent"))
	require.Equal(t, []string{"accepted", "failed"}, chosen("failed, accepted,failed"))
	require.Equal(t, []string{"accepted"}, chosen("waiting"))
	require.Equal(t, []string{"failed", "rejected", "expired", "canceled"}, chosen("not-sent"))
	require.Equal(t, []string{"undelivered", "failed", "rejected", "expired", "canceled", "unknown"}, chosen("not-delivered"))
	require.Equal(t, []string{"sent", "failed", "rejected", "expired", "canceled"}, chosen("not-sent,sent"))
	require.Equal(t, []string{"scheduled"}, chosen("scheduled"), "whose number is 0")
	for _, bad := range []string{",", "sent,", ",sent", "gone", "Sent", "not_sent", "sent;failed"} {
		_, err := message.ParseStates(bad)
		require.ErrorContains(t, err, "unknown state", bad)
	}
	for _, word := range message.StateWords() {
		require.NotEmpty(t, chosen(word))
	}
}

func TestAPageIsOfStatesAndACode(t *testing.T) {
	t.Parallel()
	states := []message.State{message.Sent, message.Failed, message.Expired, message.Failed, message.Failed}
	codes := []string{"", "http_400", "", "http_500", "http_400"}
	page := func(q message.PageQuery) (found []int, next string) {
		p, err := message.Pages(q, len(states), func(i int) (message.State, int64) { return states[i], int64(i + 1) },
			func(i int) message.Row { return message.Row{Index: i, State: states[i], Code: codes[i]} })
		require.NoError(t, err)
		for _, row := range p.Messages {
			found = append(found, row.Index)
		}
		return found, p.Next
	}
	found, next := page(message.PageQuery{State: "sent,expired"})
	require.Equal(t, []int{0, 2}, found)
	require.Empty(t, next)
	found, _ = page(message.PageQuery{State: "not-sent", Code: "http_400"})
	require.Equal(t, []int{1, 4}, found)
	found, next = page(message.PageQuery{Code: "http_400", Limit: 1})
	require.Equal(t, []int{1}, found)
	found, next = page(message.PageQuery{Code: "http_400", Limit: 1, Cursor: next})
	require.Equal(t, []int{4}, found)
	require.Empty(t, next)
}
