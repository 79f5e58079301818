package index_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

// TestWhatWasBegunUnderAnEarlierLeaseIsRefused has two processes, the clock of one of which is
// 20 s ahead or behind. The first is stopped in the middle of a batch.
func TestWhatWasBegunUnderAnEarlierLeaseIsRefused(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-20 * time.Second, 0, 20 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			url, now := address(t), noon()
			first := open(t, func(o *index.Options) { o.URL, o.Now = url, func() time.Time { return now } })
			second := open(t, func(o *index.Options) { o.URL, o.Now = url, func() time.Time { return now.Add(skew) } })
			claim := func(x *index.Index, owner string) int64 {
				t.Helper()
				term, err := x.Claim(t.Context(), "feed", owner, 30*time.Second)
				require.NoError(t, err)
				return term
			}
			b, deleted := batch("b1"), batch("b2")
			page := func(state message.State, rev int64) []index.Message {
				return []index.Message{{To: "+4915112345678", State: state, FinishedAt: noon(), Rev: rev}}
			}
			half, all := index.Position{Walk: "9 1:0"}, index.Position{Rev: 9, Walk: "run", Done: true}
			one := claim(first, "1")
			require.NoError(t, first.Advance(t.Context(), b, page(message.Sending, 3), index.Step{To: half, Lease: "feed", Term: one}))

			now = now.Add(time.Minute)
			two := claim(second, "2")
			require.NotEqual(t, one, two)
			require.NoError(t, second.Advance(t.Context(), b, page(message.Sent, 9), index.Step{From: half, To: all, Lease: "feed", Term: two}))
			require.NoError(t, second.Advance(t.Context(), deleted, page(message.Sent, 9), index.Step{To: all, Lease: "feed", Term: two}))
			gone, err := second.Delete(t.Context(), deleted.Tenant, deleted.ID, deleted.CreatedAt)
			require.NoError(t, err)
			require.True(t, gone)

			// The first goes on, with a batch that it has read before it was deleted among others.
			late := []error{
				first.Advance(t.Context(), deleted, page(message.Sending, 3), index.Step{To: half, Lease: "feed", Term: one}),
				first.Advance(t.Context(), b, page(message.Sending, 4), index.Step{From: half, To: index.Position{Rev: 4}, Lease: "feed", Term: one}),
				first.Advance(t.Context(), b, nil, index.Step{From: all, To: half, Lease: "feed", Term: one}),
			}
			for _, err := range late {
				require.ErrorIs(t, err, index.ErrLease)
			}
			now = now.Add(time.Minute)
			require.NotEqual(t, one, claim(first, "1"), "also once it has the lease again")
			require.ErrorIs(t, first.Advance(t.Context(), deleted, nil, index.Step{To: half, Lease: "feed", Term: one}), index.ErrLease)

			p, err := first.Position(t.Context(), b.Tenant, b.ID)
			require.NoError(t, err)
			require.Equal(t, all, p)
			found, err := first.Find(t.Context(), index.FindQuery{To: "+4915112345678"})
			require.NoError(t, err)
			require.Len(t, found.Messages, 1)
			require.Equal(t, message.Sent, found.Messages[0].State)
			stats, err := first.Stats(t.Context(), index.StatsQuery{Now: noon()})
			require.NoError(t, err)
			require.Equal(t, []int{1, 1}, []int{stats[0].Total, stats[0].Counts[message.Sent]})
		})
	}
}

func TestAStepThatAnotherHasMadeIsRefused(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	b, to := batch("b1"), index.Position{Rev: 5}
	require.NoError(t, x.Advance(t.Context(), b, nil, index.Step{To: to}))
	require.ErrorIs(t, x.Advance(t.Context(), b, []index.Message{{To: "+4915112345678", Rev: 3}}, index.Step{To: index.Position{Rev: 3}}), index.ErrMoved)
	another := b
	another.CreatedAt = b.CreatedAt.Add(time.Millisecond)
	require.ErrorIs(t, x.Advance(t.Context(), another, nil, index.Step{From: to, To: index.Position{Rev: 9}}), index.ErrMoved)
	page, err := x.Find(t.Context(), index.FindQuery{To: "+4915112345678"})
	require.NoError(t, err)
	require.Empty(t, page.Messages)
	p, err := x.Position(t.Context(), b.Tenant, b.ID)
	require.NoError(t, err)
	require.Equal(t, to, p)
}
