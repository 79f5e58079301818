package activities_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func heldBy(by string, s contract.Selector) contract.Hold {
	return contract.Hold{Selector: s, By: by, Reason: "why", Since: time.Now().UnixMilli()}
}

func TestAHeldMessageMakesNoRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selector contract.Selector
		held     bool
		account  bool
	}{
		"the account":                   {contract.Selector{Account: "hook"}, true, true},
		"another account":               {contract.Selector{Account: "other"}, false, false},
		"everything":                    {contract.Selector{All: true}, true, false},
		"the tenant":                    {contract.Selector{Tenant: "default"}, true, false},
		"another tenant":                {contract.Selector{Tenant: "acme"}, false, false},
		"the metadata of the batch":     {contract.Selector{Meta: "campaign=spring"}, true, false},
		"another value":                 {contract.Selector{Meta: "campaign=autumn"}, false, false},
		"the priority of batches":       {contract.Selector{All: true, From: 3, To: 5}, true, false},
		"other priorities":              {contract.Selector{All: true, From: 1, To: 2}, false, false},
		"the account of another tenant": {contract.Selector{Account: "hook", Tenant: "acme"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sender{}
			a := activities.New(activities.Options{Senders: accounts{"hook": s}})
			a.SetHolds(contract.Holds{heldBy(message.HeldByPerson, c.selector)})
			in := input()
			in.Metadata = []byte(`{"campaign":"spring"}`)
			res, err := execute(t, environment{}, a.Send, in)
			require.NoError(t, err)
			if !c.held {
				require.Equal(t, contract.KindSent, res.Kind)
				require.Zero(t, res.Held)
				return
			}
			require.Equal(t, contract.KindNotStarted, res.Kind)
			require.Equal(t, message.CodeHeld, res.Code)
			require.Equal(t, "why", res.Held.Reason)
			require.Equal(t, c.account, res.Held.Account)
			require.Zero(t, s.requests())
			a.SetHolds(nil)
			res, err = execute(t, environment{}, a.Send, in)
			require.NoError(t, err)
			require.Equal(t, contract.KindSent, res.Kind)
		})
	}
}

func TestAHoldEndsWithItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := activities.New(activities.Options{Senders: accounts{"hook": &sender{}}})
		x := heldBy(message.HeldByPerson, contract.Selector{All: true})
		x.Until = time.Now().Add(time.Minute).UnixMilli()
		a.SetHolds(contract.Holds{x})
		value, err := within(nil, a.Send, input())
		require.NoError(t, err)
		var res contract.SendResult
		require.NoError(t, value.Get(&res))
		require.Equal(t, contract.KindNotStarted, res.Kind)
		time.Sleep(time.Minute)
		value, err = within(nil, a.Send, input())
		require.NoError(t, err)
		res = contract.SendResult{}
		require.NoError(t, value.Get(&res))
		require.Equal(t, contract.KindSent, res.Kind)
	})
}

func TestAnAttemptThatWaitsForItsTurnHearsOfAHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{Rate: 1}, 12, nil)
		x := heldBy(message.HeldByPerson, contract.Selector{Account: "hook"})
		time.AfterFunc(2500*time.Millisecond, func() { l.acts.SetHolds(contract.Holds{x}) })
		began := time.Now()
		outcomes := l.send(t)
		require.Less(t, time.Since(began), 4*time.Second, "the group gives the rest back")
		require.Equal(t, map[string]int{"sent": 3, "not_started held": 9}, kinds(outcomes))
		require.Equal(t, 3, s.requests())
		for _, o := range outcomes[3:] {
			require.Equal(t, x.Told(), o.Held)
		}
	})
}

func TestAnAccountWhoseKeyIsRefusedHoldsItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var refuses atomic.Bool
		refuses.Store(true)
		s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
			if refuses.Load() {
				return message.Receipt{}, &provider.Error{Kind: provider.Unauthorized, Code: "http_401", Detail: "no", Account: "the credentials were refused"}
			}
			return message.Receipt{}, nil
		}}
		a := activities.New(activities.Options{Senders: accounts{"hook": s}})
		send := func(probe bool) (res contract.SendResult) {
			in := input()
			in.Probe = probe
			value, err := within(nil, a.Send, in)
			require.NoError(t, err)
			require.NoError(t, value.Get(&res))
			return res
		}
		first := send(false)
		require.Equal(t, "unauthorized", first.Kind)
		require.Equal(t, message.HeldByAccount, first.Held.By)
		change := <-a.HoldChanges()
		require.Equal(t, "hook", change.Hold.Account)
		require.Contains(t, change.Hold.Reason, "http_401")
		require.Equal(t, contract.KindNotStarted, send(false).Kind)
		require.Equal(t, 1, s.requests(), "nothing but a probe leaves")
		a.SetHolds(contract.Holds{}.Apply(change))
		require.Equal(t, "unauthorized", send(true).Kind)
		require.Equal(t, 2, s.requests())
		require.Empty(t, a.HoldChanges())

		refuses.Store(false)
		require.Equal(t, contract.KindSent, send(true).Kind)
		change = <-a.HoldChanges()
		require.Equal(t, []string{first.Held.Key}, change.Release)
		require.Equal(t, contract.KindSent, send(false).Kind, "before anybody has written it down")
	})
}

func TestOtherRefusalsHoldNoAccount(t *testing.T) {
	t.Parallel()
	s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
		return message.Receipt{}, &provider.Error{Kind: provider.Unauthorized, Code: "http_403"}
	}}
	a := activities.New(activities.Options{Senders: accounts{"hook": s}})
	for range 3 {
		res, err := execute(t, environment{}, a.Send, input())
		require.NoError(t, err)
		require.Zero(t, res.Held)
	}
	require.Equal(t, 3, s.requests())
}

func TestProbesAreOfferedLessAndLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := activities.New(activities.Options{})
		x := heldBy(message.HeldByAccount, contract.Selector{Account: "hook"})
		a.SetHolds(contract.Holds{x})
		began := time.Now()
		var at []float64
		for range 9 {
			for {
				value, err := within(nil, a.AwaitRelease, contract.AwaitReleaseInput{V: 1, Account: "hook", Held: x.Told()})
				require.NoError(t, err)
				var res contract.AwaitReleaseResult
				require.NoError(t, value.Get(&res))
				require.False(t, res.Released)
				if res.Probe {
					break
				}
			}
			at = append(at, time.Since(began).Seconds())
		}
		require.InDeltaSlice(t, []float64{1, 3, 7, 15, 31, 63, 123, 183, 243}, at, 0.01)
		time.AfterFunc(3*time.Second, func() { a.SetHolds(nil) })
		waits := time.Now()
		value, err := within(nil, a.AwaitRelease, contract.AwaitReleaseInput{V: 1, Account: "hook", Held: x.Told()})
		require.NoError(t, err)
		var res contract.AwaitReleaseResult
		require.NoError(t, value.Get(&res))
		require.True(t, res.Released)
		require.InDelta(t, 3, time.Since(waits).Seconds(), 0.01)
	})
}

// So that the server knows soon that a worker was killed which waited.
func TestAWaitForAReleaseSaysThatItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := activities.New(activities.Options{})
		x := heldBy(message.HeldByPerson, contract.Selector{Account: "hook"})
		a.SetHolds(contract.Holds{x})
		time.AfterFunc(2*time.Minute, func() { a.SetHolds(nil) })
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestActivityEnvironment()
		env.SetTestTimeout(time.Hour)
		env.RegisterActivity(a.AwaitRelease)
		var beats atomic.Int64
		env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { beats.Add(1) })
		_, err := env.ExecuteActivity(a.AwaitRelease, contract.AwaitReleaseInput{V: 1, Account: "hook", Held: x.Told()})
		require.NoError(t, err)
		require.GreaterOrEqual(t, beats.Load(), int64(4), "the environment takes one every half minute")
	})
}

func TestAGroupStopsAfterTooManyEqualRefusals(t *testing.T) {
	t.Parallel()
	for _, guard := range []bool{true, false} {
		s := &sender{answer: func(_ context.Context, m message.Outgoing) (message.Receipt, error) {
			if m.Index%4 == 0 {
				return message.Receipt{}, &provider.Error{Kind: provider.Rejected, Code: "unknown_number"}
			}
			return message.Receipt{}, nil
		}}
		l := newLot(t, s, provider.Account{Concurrency: 10}, 900, nil)
		l.in.Guard = guard
		n := kinds(l.send(t))
		if !guard {
			require.Equal(t, 225, n["rejected unknown_number"])
			continue
		}
		require.InDelta(t, 200, 900-n[contract.KindNotStarted], 15, "%v", n)
	}
}
