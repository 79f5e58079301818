package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows/contract"
)

// Nothing is lost that is not found in a store that is away.
func TestAStoreThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	const dir = "default/2026-01-01/b~00000000"
	in := contract.LoadInput{V: 1, Dir: dir, Segment: 1}
	a := activities.New(activities.Options{Store: storeAt(t, "mem://")})
	_, err := execute(t, environment{}, a.Load, in)
	require.ErrorContains(t, err, store.ErrAway.Error())
	require.Equal(t, contract.OpenResult{V: 1, Away: true}, ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir}))
	a, _, _ = kept(t, 1, nil)
	require.False(t, ask(t, a.Load, in).Found)
	require.Equal(t, contract.OpenResult{V: 1}, ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir}))
}

// Nothing is lost that a worker cannot open for want of a key: another one has it.
func TestAWorkerWithoutTheKeyOfTheStoreLosesNothing(t *testing.T) {
	t.Parallel()
	keyset, err := encryption.New()
	require.NoError(t, err)
	url := "file://" + t.TempDir()
	sealed, err := store.Open(t.Context(), url, store.Options{Keyset: keyset})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sealed.Close() })
	dir := fill(t, sealed, 3, nil)
	senders := accounts{"hook": &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
		return message.Receipt{ProviderID: "p"}, nil
	}}}
	send := contract.SendInput{
		V: 1, Account: "hook", Attempt: 1, Due: time.Now().UnixMilli(), Expires: time.Now().Add(time.Hour).UnixMilli(),
		Stored: &contract.Stored{Dir: dir, Segment: 1},
	}

	a := activities.New(activities.Options{Senders: senders, Store: storeAt(t, url)})
	_, err = execute(t, environment{}, a.Open, contract.OpenInput{V: 1, Dir: dir})
	require.ErrorContains(t, err, "is sealed with key", "no result: it is asked again")
	_, err = execute(t, environment{}, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 1})
	require.ErrorContains(t, err, "is sealed with key")
	res := ask(t, a.Send, send)
	require.Equal(t, contract.KindNotStarted, res.Kind)
	require.Equal(t, "this worker lacks the key of the message", res.Detail)
	require.Positive(t, res.RetryAfter)

	a = activities.New(activities.Options{Senders: senders, Store: sealed})
	require.True(t, ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir}).Found)
	require.True(t, ask(t, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 1}).Found)
	require.Equal(t, contract.KindSent, ask(t, a.Send, send).Kind)
}
