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

// cancelLarge cancels by an update, and hands its answer on when it has added up.
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
	b.at(time.Minute, func() {
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
	require.Equal(t, []int{103}, b.inputs[31].Canceled)
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

func TestAPausedLargeBatchBeginsNothing(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.at(time.Minute, func() {
				if way == "as a signal" {
					b.env.SignalWorkflow(workflows.ControlPause, nil)
					return
				}
				update(b.bench, workflows.ControlPause, nil, func(r message.PauseResult, err error) {
					require.NoError(t, err)
					require.Len(t, r.InFlight, 48)
				})
			})
			b.at(time.Hour, func() {
				s := b.status()
				require.Equal(t, message.BatchPaused, s.State)
				require.Len(t, b.order, 18)
				if way == "as a signal" {
					b.env.SignalWorkflow(workflows.ControlResume, nil)
					return
				}
				require.Equal(t, start.UnixMilli(), s.NextDueAt.UnixMilli())
				update(b.bench, workflows.ControlResume, nil, func(r message.ResumeResult, err error) {
					require.NoError(t, err)
					require.Equal(t, "b", r.Batch)
				})
			})
			res := b.run()
			require.Equal(t, 2997, res.Status.Counts[message.Sent])
			require.False(t, b.begun[19].Before(start.Add(time.Hour)))
			require.False(t, b.inputs[19].Paused)
		})
	}
}

func TestWhatExpiresInAPausedLargeBatchBegins(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.at(time.Minute, func() { b.env.SignalWorkflow(workflows.ControlPause, nil) })
	res := b.run()
	require.WithinDuration(t, start.Add(message.DefaultTTL), b.begun[19], time.Second)
	require.True(t, b.inputs[19].Paused)
	require.True(t, b.inputs[31].Paused, "and the retry of what was left")
	require.Equal(t, 2997-99-98-48, res.Status.Counts[message.Expired])
}

func TestReschedulingALargeBatchMovesWhatHasNoAttempt(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.at(time.Minute, func() {
				q := message.RescheduleRequest{SendAfter: "2h"}
				if way == "as a signal" {
					b.env.SignalWorkflow(workflows.ControlReschedule, q)
					return
				}
				update(b.bench, workflows.ControlReschedule, q, func(r message.RescheduleResult, err error) {
					require.NoError(t, err)
					require.Equal(t, 2800-2-48, r.Rescheduled)
					require.Equal(t, 3000, r.Rescheduled+r.Unchanged)
				})
				update(b.bench, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: "soon"}, func(_ message.RescheduleResult, err error) {
					require.ErrorContains(t, err, `"soon" is neither`)
				})
				update(b.bench, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: "9000h"}, func(_ message.RescheduleResult, err error) {
					require.ErrorContains(t, err, "ahead")
				})
			})
			at := start.Add(2*time.Hour + time.Minute)
			b.at(time.Hour, func() {
				o := b.overview()
				require.Equal(t, at, *o.Status.SendAfter)
				require.Equal(t, at.UnixMilli(), o.Large.Due)
				require.Equal(t, 1199, o.Status.Counts[message.Scheduled]-16*97+1)
			})
			res := b.run()
			require.Equal(t, 2997, res.Status.Counts[message.Sent])
			require.Equal(t, at.UnixMilli(), b.inputs[19].Due)
			require.Equal(t, at.Add(message.DefaultTTL).UnixMilli(), b.inputs[19].Expires)
			require.Zero(t, b.inputs[5].Due)
			require.Zero(t, res.Large.Due)
		})
	}
}

func TestControlsAfterACancelChangeNothing(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.at(time.Minute, func() { b.env.SignalWorkflow(workflows.ControlCancel, nil) })
	b.at(2*time.Minute, func() {
		update(b.bench, workflows.ControlPause, nil, func(_ message.PauseResult, err error) { require.NoError(t, err) })
		update(b.bench, workflows.ControlReschedule, message.RescheduleRequest{SendAfter: "2h"}, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, 3000, r.Unchanged)
		})
		update(b.bench, workflows.ControlResume, nil, func(_ message.ResumeResult, err error) { require.NoError(t, err) })
		require.Equal(t, message.BatchCanceling, b.status().State)
	})
	res := b.run()
	require.Nil(t, res.Status.SendAfter)
	for _, o := range b.orders[5] {
		require.NotNil(t, o.Cancel)
	}
}

func TestOrdersReachASegmentInOrder(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.plans[1] = plan{first: time.Hour}
	b.at(time.Minute, func() {
		for range 5 {
			update(b.bench, workflows.ControlPause, nil, func(message.PauseResult, error) {})
			update(b.bench, workflows.ControlResume, nil, func(message.ResumeResult, error) {})
		}
	})
	b.run()
	require.Len(t, b.orders[1], 10)
	for k, o := range b.orders[1] {
		require.Equal(t, k%2 == 0, o.Pause)
		require.Equal(t, k%2 == 1, o.Resume)
	}
}

func TestALargeBatchDoesNotAnswerForItsMessages(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.plans[1] = plan{first: time.Hour}
	b.at(time.Minute, func() {
		_, err := b.env.QueryWorkflow(workflows.QueryMessages, message.PageQuery{})
		require.ErrorContains(t, err, "large batch")
		_, err = b.env.QueryWorkflow(workflows.QueryMessage, id(1))
		require.ErrorContains(t, err, "large batch")
	})
	b.run()
}

func TestALargeBatchTakesAsManyUpdatesAsItMay(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.plans[1] = plan{first: 24 * time.Hour}
	refused, sent := 0, 0
	var again func()
	again = func() {
		update(b.bench, workflows.ControlResume, nil, func(_ message.ResumeResult, err error) {
			if err != nil {
				var app *temporal.ApplicationError
				require.ErrorAs(t, err, &app)
				require.Equal(t, workflows.ErrLargeType, app.Type())
				refused++
			}
		})
		if sent++; sent < 1905 {
			b.at(time.Second, again)
		}
	}
	b.at(time.Minute, again)
	b.run()
	require.Equal(t, 5, refused)
}
