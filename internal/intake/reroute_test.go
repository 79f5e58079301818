package intake_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/intake"
	"volley/internal/message"
)

func TestMessagesAreReroutedAsIfTheyCameInToday(t *testing.T) {
	t.Parallel()
	c := intake.Caller{Router: &message.Router{Accounts: map[string]message.Policy{"hook": {Provider: "webhook"}, "bird": {Provider: "bird"}}}}
	old := message.Batch{Dialect: "volley", Region: "DE", Account: "bird", Hops: [][]message.Hop{{{Account: "hook"}}}, Policies: map[string]message.Policy{"hook": {Provider: "webhook"}}}
	b := old
	reroute := c.Reroute(&b)
	number, room := message.Message{To: "0151 1234567"}, message.Message{To: "room 7"}
	reroute(0, &number)
	reroute(1, &room)
	require.Equal(t, "+491511234567", number.Phone)
	require.Empty(t, number.Problems)
	require.Equal(t, []message.Hop{{Account: "bird"}}, b.HopsOf(&number))
	require.Equal(t, "bird", b.Policies["bird"].Provider)
	require.Equal(t, message.CodeRecipient, room.Problems[0].Code)
	require.Equal(t, "messages[1]", room.Problems[0].Path)
	require.Len(t, old.Policies, 1, "the old batch stays as it is")

	b.Account = "hook"
	reroute = c.Reroute(&b)
	reroute(0, &number)
	require.Equal(t, "+491511234567", number.Phone, "a number stays in its normal form")
}
