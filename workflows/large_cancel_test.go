package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// cancel cancels by an update, and hands its answer on when it has added up.
func (b *largeBench) cancel(q message.CancelRequest, total int, got func(message.CancelResult)) {
	update(b.bench, workflows.ControlCancel, q, func(r message.CancelResult, err error) {
		require.NoError(b.t, err)
		require.True(b.t, r.Confirmed)
		c := r.Counts
		require.Equal(b.t, total, c.Canceled+c.Sent+c.InFlight+c.Ended, "%+v", c)
		got(r)
	})
}

func ids(indexes ...int) []string {
	all := []string{}
	for _, i := range indexes {
		all = append(all, id(i))
	}
	return all
}

// busy makes a batch of 30 segments: two have ended when a minute has passed, one
// of which left something, the next sixteen run and the others wait.
func busy(t *testing.T) *largeBench {
	b := newLargeBench(t, 3000, 100)
	b.rejected[0], b.rejected[500], b.rejected[2999] = true, true, true
	b.plans[1] = plan{first: 40 * time.Second}
	b.plans[2] = plan{first: 40 * time.Second, left: []int{3, 4}}
	for n := 3; n <= 30; n++ {
		b.plans[n] = plan{first: 10 * time.Minute, flying: []int{1, 2, 3}}
	}
	return b
}

func TestEveryWayOfCancellingALargeBatchEndsWithAnExactResult(t *testing.T) {
	t.Parallel()
	ways := map[string]func(b *largeBench){
		"as an update": func(b *largeBench) {
			b.cancel(message.CancelRequest{Reason: "wrong text"}, 3000, func(r message.CancelResult) {
				require.Equal(b.t, message.CancelCounts{Canceled: 2750 + 2, Sent: 99 + 98, InFlight: 16 * 3, Ended: 3}, r.Counts)
				require.Nil(b.t, r.Canceled)
				require.Nil(b.t, r.Ended)
				require.WithinDuration(b.t, start.Add(time.Minute), b.env.Now(), time.Second)
			})
		},
		"as a signal": func(b *largeBench) {
			b.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Reason: "wrong text"})
		},
		"as a signal without argument": func(b *largeBench) { b.env.SignalWorkflow(workflows.ControlCancel, nil) },
		"through temporal":             func(b *largeBench) { b.env.CancelWorkflow() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.at(time.Minute, func() { way(b) })
			b.at(2*time.Minute, func() {
				s := b.status()
				require.Equal(t, message.BatchCanceling, s.State)
				require.Equal(t, 48, s.Counts.Open())
			})
			res := b.run()
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 99+98+48, res.Status.Counts[message.Sent])
			require.Equal(t, 3, res.Status.Counts[message.Rejected])
			require.Equal(t, 3000-99-98-48-3, res.Status.Counts[message.Canceled])
			require.Equal(t, "el"+strings.Repeat("e", 16)+strings.Repeat("x", 12), res.Large.Segments)
			require.Equal(t, message.Canceled, res.Large.Rest.State)
			require.Equal(t, "canceled", res.Large.Rest.Code)
			require.Len(t, b.order, 19, "a retry writes down what became of what was left")
			require.NotNil(t, b.inputs[31].Cancel)
		})
	}
}

func TestCancellingALargeBatchBeforeItIsOpened(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 5000, 1000)
	b.rejected[7] = true
	b.open = func(int) (activities.OpenResult, error) { return activities.OpenResult{}, errors.New("not yet") }
	b.at(time.Minute, func() {
		b.cancel(message.CancelRequest{Reason: "too late"}, 5000, func(r message.CancelResult) {
			require.Equal(t, message.CancelCounts{Canceled: 4999, Ended: 1}, r.Counts)
		})
	})
	res := b.run()
	require.Equal(t, message.BatchCanceled, res.Status.State)
	require.Equal(t, 4999, res.Status.Counts[message.Canceled])
	require.Equal(t, "too late", res.Large.Rest.Detail)
	require.Nil(t, res.Status.StartedAt)
}

func TestASmallOneOfLargeBatchesListsWhatWasCanceled(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 60, 3) // 20 segments
	b.rejected[1], b.rejected[59] = true, true
	b.plans[1] = plan{first: 10 * time.Second}
	b.plans[2] = plan{first: 10 * time.Second, left: []int{1}}
	b.plans[3] = plan{first: time.Hour, flying: []int{0}, deaf: true}
	for n := 4; n <= 20; n++ {
		b.plans[n] = plan{first: time.Hour, flying: []int{2}}
	}
	b.at(15*time.Second, func() {
		b.cancel(message.CancelRequest{Messages: ids(58)}, 1, func(message.CancelResult) {})
	})
	b.at(20*time.Second, func() {
		b.cancel(message.CancelRequest{}, 60, func(r message.CancelResult) {
			require.Equal(t, ids(0, 2, 3, 5), r.Sent)
			require.Equal(t, ids(1, 58, 59), r.Ended)
			require.Contains(t, r.Canceled, id(4), "what waited for a retry")
			require.Contains(t, r.Canceled, id(57), "what had not begun")
			for _, i := range []int{6, 7, 8, 11, 14} {
				require.Contains(t, r.InFlight, id(i))
			}
			require.WithinDuration(t, start.Add(28*time.Second), b.env.Now(), time.Second)
		})
	})
	b.at(40*time.Second, func() {
		b.cancel(message.CancelRequest{}, 60, func(r message.CancelResult) { require.Empty(t, r.Canceled) })
	})
	res := b.run()
	require.Equal(t, message.BatchCanceled, res.Status.State)
}

func TestSegmentsThatDoNotAnswerACancelAreInFlight(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 2000, 1000)
	b.plans[1] = plan{first: time.Minute, deaf: true}
	b.plans[2] = plan{first: 24 * time.Second, deaf: true}
	b.at(20*time.Second, func() {
		b.cancel(message.CancelRequest{}, 2000, func(r message.CancelResult) {
			require.Equal(t, message.CancelCounts{Sent: 1000, InFlight: 1000}, r.Counts)
			require.WithinDuration(t, start.Add(28*time.Second), b.env.Now(), 0)
		})
	})
	b.run()
}

func TestCancellingSingleMessagesOfALargeBatch(t *testing.T) {
	t.Parallel()
	b := busy(t)
	named := ids(150, 103, 450, 301, 500, 2000, 2001, 2999, 450)
	var before int64
	b.at(time.Minute, func() {
		before = b.overview().Status.Rev
		b.cancel(message.CancelRequest{Reason: "asked to", Messages: named}, 8, func(r message.CancelResult) {
			require.Equal(t, ids(103, 450, 2000, 2001), r.Canceled)
			require.Equal(t, ids(150), r.Sent)
			require.Equal(t, ids(301), r.InFlight)
			require.Equal(t, ids(500, 2999), r.Ended)
		})
		b.cancel(message.CancelRequest{Messages: []string{}}, 0, func(message.CancelResult) {})
		update(b.bench, workflows.ControlCancel, message.CancelRequest{Messages: []string{id(3), id(3000)}}, func(_ message.CancelResult, err error) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, workflows.ErrNoMessageType, app.Type())
		})
	})
	b.at(2*time.Minute, func() {
		require.Equal(t, []int{2000, 2001}, b.overview().Large.Canceled)
		require.Equal(t, []string{"asked to", "asked to"}, b.overview().Large.Reasons)
		revs := b.overview().Large.Revs
		require.Len(t, revs, 2)
		require.Equal(t, revs[0], revs[1])
		require.LessOrEqual(t, revs[0], b.overview().Status.Rev)
		require.Greater(t, revs[0], before)
		b.cancel(message.CancelRequest{Messages: named}, 8, func(r message.CancelResult) {
			require.Empty(t, r.Canceled, "they were so before")
		})
		b.env.SignalWorkflow(workflows.ControlCancel, message.CancelRequest{Messages: []string{"2002", "460", "999999"}})
	})
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 6, res.Status.Counts[message.Canceled])
	require.Equal(t, 3000-6-3, res.Status.Counts[message.Sent])
	require.Equal(t, []int{2000, 2001, 2002}, b.inputs[21].Canceled)
	require.Len(t, b.inputs[21].Revs, 3)
	require.Greater(t, b.inputs[21].Revs[2], b.inputs[21].Revs[0])
	require.Equal(t, []int{103}, b.inputs[31].Canceled)
	require.Len(t, b.inputs[31].Revs, 1)
	require.Empty(t, res.Large.Canceled)
	for _, i := range []int{2000, 2001, 2002} {
		require.Equal(t, message.Canceled, b.ledgers[21][i])
	}
}

func TestMessagesThatTheStoreDoesNotFindAreNotCanceled(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.at(time.Minute, func() {
		b.absent = true
		update(b.bench, workflows.ControlCancel, message.CancelRequest{Messages: ids(2000)}, func(_ message.CancelResult, err error) {
			require.ErrorContains(t, err, "same store")
			b.absent = false
		})
	})
	res := b.run()
	require.Zero(t, res.Status.Counts[message.Canceled])
}

func TestAMessageIsNotSentWhileACancelLooksForIt(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	found := b.open
	b.open = func(n int) (activities.OpenResult, error) {
		if n < 3 {
			return activities.OpenResult{}, errors.New("not yet")
		}
		return found(n)
	}
	b.at(time.Second, func() {
		b.cancel(message.CancelRequest{Messages: ids(7)}, 1, func(r message.CancelResult) { require.Equal(t, ids(7), r.Canceled) })
	})
	res := b.run()
	require.Equal(t, []int{7}, b.inputs[1].Canceled)
	require.Equal(t, 99, res.Status.Counts[message.Sent])
}
