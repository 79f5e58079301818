package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// cancel cancels by an update, and hands its answer on when it has added up.
func (b *largeBench) cancel(q message.CancelRequest, total int, got func(message.CancelResult)) {
	flowtest.Update(b.Bench, contract.ControlCancel, q, func(r message.CancelResult, err error) {
		require.NoError(b.T, err)
		require.True(b.T, r.Confirmed)
		c := r.Counts
		require.Equal(b.T, total, c.Canceled+c.Sent+c.InFlight+c.Ended, "%+v", c)
		got(r)
	})
}

func ids(indexes ...int) []string {
	all := []string{}
	for _, i := range indexes {
		all = append(all, flowtest.ID(i))
	}
	return all
}

// busy makes a batch of 30 segments: when a minute has passed, one has ended, one
// waits to try two messages again, the next sixteen run and the others wait.
func busy(t *testing.T) *largeBench {
	b := newLargeBench(t, 3000, 100)
	b.rejected[0], b.rejected[500], b.rejected[2999] = true, true, true
	b.plans[1] = plan{first: 40 * time.Second}
	b.plans[2] = plan{first: 40 * time.Second, retried: []int{3, 4}}
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
				require.Equal(b.T, message.CancelCounts{Canceled: 2750 + 2, Sent: 99 + 98, InFlight: 16 * 3, Ended: 3}, r.Counts)
				require.Nil(b.T, r.Canceled)
				require.Nil(b.T, r.Ended)
				require.WithinDuration(b.T, flowtest.Start.Add(time.Minute), b.Env.Now(), time.Second)
			})
		},
		"as a signal": func(b *largeBench) {
			b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Reason: "wrong text"})
		},
		"as a signal without argument": func(b *largeBench) { b.Env.SignalWorkflow(contract.ControlCancel, nil) },
		"through temporal":             func(b *largeBench) { b.Env.CancelWorkflow() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.At(time.Minute, func() { way(b) })
			b.At(2*time.Minute, func() {
				require.Equal(t, message.BatchCanceling, b.Status().State)
				for n := 3; n <= 18; n++ {
					require.Equal(t, 3, open(b.acts[n].counts()))
				}
			})
			res := b.run()
			require.Equal(t, message.BatchCanceled, res.Status.State)
			require.Equal(t, 99+98+48, res.Status.Counts[message.Sent])
			require.Equal(t, 3, res.Status.Counts[message.Rejected])
			require.Equal(t, 3000-99-98-48-3, res.Status.Counts[message.Canceled])
			require.Equal(t, "ee"+strings.Repeat("e", 16)+strings.Repeat("x", 12), res.Large.Segments)
			require.Equal(t, message.Canceled, res.Large.Rest.State)
			require.Equal(t, "canceled", res.Large.Rest.Code)
			require.Len(t, b.order, 18)
		})
	}
}

func TestCancellingALargeBatchBeforeItIsOpened(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 5000, 1000)
	b.rejected[7] = true
	b.open = func(int) (contract.OpenResult, error) { return contract.OpenResult{}, errors.New("not yet") }
	b.At(time.Minute, func() {
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

func open(n message.Counts) int { return n.Open() }

// Of several cancels of all, each message is canceled by one.
func TestCancelsOfAllAtOnceDoNotClaimTheSameMessages(t *testing.T) {
	t.Parallel()
	b := busy(t)
	var sum message.CancelCounts
	answers := 0
	for _, after := range []time.Duration{0, 0, 50 * time.Millisecond} {
		b.At(time.Minute+after, func() {
			b.cancel(message.CancelRequest{}, 3000, func(r message.CancelResult) {
				answers++
				sum.Canceled += r.Counts.Canceled
			})
		})
	}
	res := b.run()
	require.Equal(t, 3, answers)
	require.Equal(t, res.Status.Counts[message.Canceled], sum.Canceled)
}

func TestSegmentsThatDoNotAnswerACancelAreInFlight(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 2000, 1000)
	b.plans[1] = plan{first: time.Minute, deaf: true}
	b.plans[2] = plan{first: 22 * time.Second, deaf: true}
	b.At(20*time.Second, func() {
		b.cancel(message.CancelRequest{}, 2000, func(r message.CancelResult) {
			require.Equal(t, message.CancelCounts{Sent: 1000, InFlight: 1000}, r.Counts)
			require.WithinDuration(t, flowtest.Start.Add(24*time.Second), b.Env.Now(), time.Second)
		})
	})
	b.At(40*time.Second, func() {
		require.Greater(t, len(b.controls), 2, "they are asked again")
		p := b.acts[1].plan
		p.deaf = false
		b.acts[1].plan, b.plans[1] = p, p
	})
	res := b.run()
	require.Equal(t, 1000, res.Status.Counts[message.Canceled])
}

func TestCancellingSingleMessagesOfALargeBatch(t *testing.T) {
	t.Parallel()
	b := busy(t)
	named := ids(150, 103, 450, 301, 500, 2000, 2001, 2999, 450)
	b.At(time.Minute, func() {
		b.cancel(message.CancelRequest{Reason: "asked to", Messages: named}, 8, func(r message.CancelResult) {
			require.Equal(t, ids(103, 450, 2000, 2001), r.Canceled)
			require.Equal(t, ids(150), r.Sent)
			require.Equal(t, ids(301), r.InFlight)
			require.Equal(t, ids(500, 2999), r.Ended)
		})
		b.cancel(message.CancelRequest{Messages: []string{}}, 0, func(message.CancelResult) {})
		flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(3), flowtest.ID(3000)}}, func(_ message.CancelResult, err error) {
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, contract.ErrNoMessageType, app.Type())
		})
	})
	b.At(2*time.Minute, func() {
		b.cancel(message.CancelRequest{Messages: named}, 8, func(r message.CancelResult) {
			require.Empty(t, r.Canceled, "they were so before")
		})
		b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Messages: []string{"2002", "460", "999999"}})
	})
	res := b.run()
	require.Equal(t, message.BatchCompleted, res.Status.State)
	require.Equal(t, 6, res.Status.Counts[message.Canceled])
	require.Equal(t, 3000-6-3, res.Status.Counts[message.Sent])
	for _, i := range []int{2000, 2001, 2002} {
		require.Equal(t, message.Canceled, b.ledgers[21][i])
	}
	require.Equal(t, message.Canceled, b.ledgers[2][103], "it waited for another attempt")
}

func TestMessagesThatTheStoreDoesNotFindAreNotCanceled(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.At(time.Minute, func() {
		b.absent = true
		flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: ids(2000)}, func(_ message.CancelResult, err error) {
			require.ErrorContains(t, err, "does not have it")
			b.absent = false
		})
	})
	res := b.run()
	require.Zero(t, res.Status.Counts[message.Canceled])
}

// What comes while one call is under way is made by one other.
func TestCancelsByNameGatherWhileOneIsMade(t *testing.T) {
	t.Parallel()
	b := busy(t)
	answers := 0
	b.At(time.Minute, func() {
		for i := range 40 {
			if i%2 == 0 {
				b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Messages: ids(2000 + i)})
				continue
			}
			b.cancel(message.CancelRequest{Messages: ids(2000 + i)}, 1, func(r message.CancelResult) {
				require.Equal(t, ids(2000+i), r.Canceled)
				answers++
			})
		}
	})
	res := b.run()
	require.Equal(t, 20, answers)
	require.Equal(t, 40, res.Status.Counts[message.Canceled])
	require.LessOrEqual(t, len(b.named), 3)
}
