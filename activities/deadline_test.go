package activities_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

// silent never answers; it notes how long it was waited for.
func silent(waited *time.Duration) *sender {
	return &sender{answer: func(ctx context.Context, _ message.Outgoing) (message.Receipt, error) {
		began := time.Now()
		<-ctx.Done()
		*waited = time.Since(began)
		return message.Receipt{}, &provider.Error{Kind: provider.Ambiguous, Code: provider.CodeTimeout}
	}}
}

func TestARequestEndsWithItsMessagesValidityAndAfterTenSeconds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ valid, want time.Duration }{
		"an hour":                {time.Hour, 10 * time.Second},
		"ten seconds and a bit":  {10*time.Second + time.Millisecond, 10 * time.Second},
		"two seconds":            {2 * time.Second, 2 * time.Second},
		"one millisecond":        {time.Millisecond, time.Millisecond},
		"it ends at this moment": {0, 0},
		"it ended long ago":      {-time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var waited time.Duration
				s, in := silent(&waited), input()
				in.Expires = time.Now().Add(c.valid).UnixMilli()
				res := attempt(t, environment{}, s, in)
				if c.want == 0 {
					require.Equal(t, contract.KindExpired, res.Kind)
					require.Zero(t, s.requests())
					return
				}
				require.Equal(t, "ambiguous", res.Kind)
				require.Equal(t, c.want, waited)
			})
		})
	}
}

func TestNoRequestLeavesThatCouldNotBeWaitedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left, valid time.Duration
		kind        string
	}{
		"just enough for ten seconds and the margin": {15 * time.Second, time.Hour, contract.KindSent},
		"too little for ten seconds and the margin":  {15*time.Second - time.Millisecond, time.Hour, contract.KindNotStarted},
		"a short validity needs less":                {7 * time.Second, 2 * time.Second, contract.KindSent},
		"too little for a short validity":            {7*time.Second - time.Millisecond, 2 * time.Second, contract.KindNotStarted},
		"an ended validity comes first":              {time.Second, 0, contract.KindExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, in := &sender{}, input()
				in.Expires = time.Now().Add(c.valid).UnixMilli()
				res := attempt(t, environment{startToClose: c.left}, s, in)
				require.Equal(t, c.kind, res.Kind)
				require.Equal(t, c.kind == contract.KindSent, s.requests() == 1)
			})
		})
	}
}

// slowLookup takes a minute for a look at a message, once, as a process does that stands still.
type slowLookup struct {
	listing
	once sync.Once
}

func (s *slowLookup) Suppressed(string, string, []string) bool {
	s.once.Do(func() { time.Sleep(time.Minute) })
	return false
}

// A process that stands still after it has looked whether a message may leave makes no
// request with time of its own when it goes on: another one may have sent it meanwhile.
func TestTheTimeOfARequestRunsFromTheLookWhetherItMayLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var late, inTime atomic.Int64
		s := &sender{answer: func(ctx context.Context, _ message.Outgoing) (message.Receipt, error) {
			if ctx.Err() != nil {
				late.Add(1)
				return message.Receipt{}, &provider.Error{Kind: provider.Unavailable, Code: provider.CodeTimeout}
			}
			inTime.Add(1)
			return message.Receipt{}, nil
		}}
		l := newLot(t, s, provider.Account{Concurrency: 1}, 3, nil)
		l.acts = activities.New(activities.Options{
			Senders: accounts{"hook": s}, Accounts: []provider.Account{{Name: "hook"}}, Store: l.store, Heartbeats: l.beats, Suppressions: &slowLookup{},
		})
		l.send(t)
		require.EqualValues(t, 1, late.Load())
		require.EqualValues(t, 2, inTime.Load(), "those after it have a look of their own")
	})
}

func TestACancelDoesNotTakeARequestBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		process, stop := context.WithCancel(t.Context())
		s := &sender{answer: func(ctx context.Context, _ message.Outgoing) (message.Receipt, error) {
			stop()
			select {
			case <-ctx.Done():
				return message.Receipt{}, &provider.Error{Kind: provider.Ambiguous, Code: provider.CodeCanceled}
			case <-time.After(3 * time.Second):
				return message.Receipt{ProviderID: "late"}, nil
			}
		}}
		res := attempt(t, environment{process: process}, s, input())
		require.Equal(t, contract.KindSent, res.Kind)
		require.Equal(t, "late", res.ProviderID)
	})
}

// slow are the activities of accounts of which hook lets one request through now
// and the next after wait.
func slow(s accounts, wait time.Duration) *activities.Activities {
	return activities.New(activities.Options{Senders: s, Accounts: []provider.Account{{Name: "hook", Rate: 1 / wait.Seconds()}}})
}

// used is slow after its first request, which is not counted.
func used(t *testing.T, s *sender, wait time.Duration) *activities.Activities {
	t.Helper()
	acts := slow(accounts{"hook": s}, wait)
	_, err := execute(t, environment{}, acts.Send, input())
	require.NoError(t, err)
	s.seen = nil
	return acts
}

func TestAnAccountsRequestsAreSpaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, s, other := time.Now(), &sender{}, &sender{}
		acts := slow(accounts{"hook": s, "other": other}, 2*time.Second)
		for range 4 {
			res, err := execute(t, environment{}, acts.Send, input())
			require.NoError(t, err)
			require.Equal(t, contract.KindSent, res.Kind)
		}
		require.Equal(t, 6*time.Second, time.Since(began))

		in := input()
		in.Account = "other"
		for range 4 {
			_, err := execute(t, environment{}, acts.Send, in)
			require.NoError(t, err)
		}
		require.Equal(t, 6*time.Second, time.Since(began))
	})
}

func TestWaitingForTheRateLeavesTimeForTheRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait, valid time.Duration
		kind        string
		took        time.Duration
	}{
		"a wait that leaves the request its time":      {15 * time.Second, time.Hour, contract.KindSent, 15 * time.Second},
		"a longer one is not begun":                    {15*time.Second + time.Millisecond, time.Hour, contract.KindNotStarted, 0},
		"a message that expires while it waits":        {3 * time.Second, 2 * time.Second, contract.KindExpired, 3 * time.Second},
		"a message whose validity outlasts its wait":   {3 * time.Second, 4 * time.Second, contract.KindSent, 3 * time.Second},
		"a message that expires when its wait is over": {3 * time.Second, 3 * time.Second, contract.KindExpired, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &sender{}
				acts := used(t, s, c.wait)
				began, in := time.Now(), input()
				in.Expires = began.Add(c.valid).UnixMilli()
				res, err := execute(t, environment{}, acts.Send, in)
				require.NoError(t, err)
				require.Equal(t, c.kind, res.Kind)
				require.Equal(t, c.took, time.Since(began))
				require.Equal(t, c.kind == contract.KindSent, s.requests() == 1)
			})
		})
	}
}

func TestACancelEndsTheWaitForTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		process, stop := context.WithTimeout(t.Context(), 4*time.Second)
		defer stop()
		s := &sender{}
		acts := used(t, s, 10*time.Second)
		res, err := execute(t, environment{process: process}, acts.Send, input())
		require.NoError(t, err)
		require.Equal(t, contract.KindNotStarted, res.Kind)
		require.Zero(t, s.requests())
	})
}
