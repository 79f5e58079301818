package coordinator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

func TestAPausedLargeBatchBeginsNothing(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.At(time.Minute, func() {
				if way == "as a signal" {
					b.Env.SignalWorkflow(contract.ControlPause, nil)
					return
				}
				flowtest.Update(b.Bench, contract.ControlPause, nil, func(r message.PauseResult, err error) {
					require.NoError(t, err)
					require.Len(t, r.InFlight, 48)
				})
			})
			b.At(time.Hour, func() {
				s := b.Status()
				require.Equal(t, message.BatchPaused, s.State)
				require.Len(t, b.order, 18)
				if way == "as a signal" {
					b.Env.SignalWorkflow(contract.ControlResume, nil)
					return
				}
				require.Equal(t, flowtest.Start.UnixMilli(), s.NextDueAt.UnixMilli())
				flowtest.Update(b.Bench, contract.ControlResume, nil, func(r message.ResumeResult, err error) {
					require.NoError(t, err)
					require.Equal(t, "b", r.Batch)
				})
			})
			res := b.run()
			require.Equal(t, 2997, res.Status.Counts[message.Sent])
			require.False(t, b.begun[19].Before(flowtest.Start.Add(time.Hour)))
			require.False(t, b.inputs[19].Paused)
		})
	}
}

func TestWhatExpiresInAPausedLargeBatchBegins(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	res := b.run()
	require.WithinDuration(t, flowtest.Start.Add(message.DefaultTTL), b.begun[19], time.Second)
	require.True(t, b.inputs[19].Paused)
	require.Equal(t, 2997-99-98-48, res.Status.Counts[message.Expired])
}

func TestReschedulingALargeBatchMovesWhatHasNoAttempt(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"as an update", "as a signal"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.At(time.Minute, func() {
				q := message.RescheduleRequest{SendAfter: "2h"}
				if way == "as a signal" {
					b.Env.SignalWorkflow(contract.ControlReschedule, q)
					return
				}
				flowtest.Update(b.Bench, contract.ControlReschedule, q, func(r message.RescheduleResult, err error) {
					require.NoError(t, err)
					require.Equal(t, 2800-2-48, r.Rescheduled)
					require.Equal(t, 3000, r.Rescheduled+r.Unchanged)
				})
				flowtest.Update(b.Bench, contract.ControlReschedule, message.RescheduleRequest{SendAfter: "soon"}, func(_ message.RescheduleResult, err error) {
					require.ErrorContains(t, err, `"soon" is neither`)
				})
				flowtest.Update(b.Bench, contract.ControlReschedule, message.RescheduleRequest{SendAfter: "9000h"}, func(_ message.RescheduleResult, err error) {
					require.ErrorContains(t, err, "ahead")
				})
			})
			at := flowtest.Start.Add(2*time.Hour + time.Minute)
			b.At(time.Hour, func() {
				o := b.overview()
				require.Equal(t, at, *o.Status.SendAfter)
				require.Equal(t, at.UnixMilli(), o.Large.Due)
				waiting := o.Status.Counts[message.Scheduled]
				for n := 3; n <= 18; n++ {
					waiting -= o.Counts[n][message.Scheduled]
					require.Equal(t, 97-b.acts[n].counts()[message.Rejected], b.acts[n].counts()[message.Scheduled])
				}
				require.Equal(t, 1199, waiting)
			})
			res := b.run()
			require.Equal(t, 2997, res.Status.Counts[message.Sent])
			require.Equal(t, at.UnixMilli(), b.inputs[19].Due)
			require.Equal(t, at.Add(message.DefaultTTL).UnixMilli(), b.inputs[19].Expires)
			require.Zero(t, b.inputs[5].Due)
			require.Equal(t, at.UnixMilli(), res.Large.Due)
			require.Equal(t, res.Large.DueRev>>message.RevShift, b.inputs[19].DueAt)
		})
	}
}

func TestControlsAfterACancelChangeNothing(t *testing.T) {
	t.Parallel()
	b := busy(t)
	b.At(time.Minute, func() { b.Env.SignalWorkflow(contract.ControlCancel, nil) })
	b.At(2*time.Minute, func() {
		flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) { require.NoError(t, err) })
		flowtest.Update(b.Bench, contract.ControlReschedule, message.RescheduleRequest{SendAfter: "2h"}, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, 3000, r.Unchanged)
		})
		flowtest.Update(b.Bench, contract.ControlResume, nil, func(_ message.ResumeResult, err error) { require.NoError(t, err) })
		require.Equal(t, message.BatchCanceling, b.Status().State)
	})
	res := b.run()
	require.Nil(t, res.Status.SendAfter)
	for _, in := range b.acts[5].orders {
		require.NotNil(t, in.Cancel)
	}
}

// A burst of controls takes a few calls, and the last one wins.
func TestABurstOfControlsReachesSegmentsAsItsLast(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 1000, 100)
	for n := 1; n <= 10; n++ {
		b.plans[n] = plan{first: time.Hour, due: 2 * time.Hour}
	}
	answers := 0
	b.At(time.Minute, func() {
		for range 50 {
			flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) { require.NoError(t, err); answers++ })
			b.Env.SignalWorkflow(contract.ControlReschedule, message.RescheduleRequest{SendAfter: "3h"})
			flowtest.Update(b.Bench, contract.ControlResume, nil, func(_ message.ResumeResult, err error) { require.NoError(t, err); answers++ })
		}
	})
	b.At(2*time.Minute, func() {
		require.Equal(t, 100, answers)
		require.LessOrEqual(t, len(b.controls), 4)
		require.Equal(t, message.BatchScheduled, b.Status().State)
		for n := 1; n <= 10; n++ {
			a := b.acts[n]
			require.False(t, a.paused)
			require.Equal(t, flowtest.Start.Add(3*time.Hour+time.Minute), a.due.UTC())
		}
	})
	b.run()
}

// One that does not answer gets what it missed, and no other is asked with it.
func TestASegmentThatWasAwayHearsWhatItMissed(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 200, 100)
	b.plans[1] = plan{first: time.Hour}
	b.plans[2] = plan{first: time.Hour, deaf: true}
	b.At(time.Minute, func() {
		flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) {
			require.NoError(t, err)
			require.WithinDuration(t, flowtest.Start.Add(64*time.Second), b.Env.Now(), time.Second)
		})
	})
	b.At(2*time.Minute, func() { b.acts[2].deaf, b.plans[2] = false, plan{first: time.Hour} })
	b.At(30*time.Minute, func() {
		require.True(t, b.acts[2].paused)
		require.Len(t, b.acts[1].orders, 1)
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res := b.run()
	require.Equal(t, 200, res.Status.Counts[message.Sent])
}

func TestALargeBatchDoesNotAnswerForItsMessages(t *testing.T) {
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.plans[1] = plan{first: time.Hour}
	b.At(time.Minute, func() {
		_, err := b.Env.QueryWorkflow(contract.QueryMessages, message.PageQuery{})
		require.ErrorContains(t, err, "large batch")
		_, err = b.Env.QueryWorkflow(contract.QueryMessage, flowtest.ID(1))
		require.ErrorContains(t, err, "large batch")
	})
	b.run()
}

func TestALargeBatchTakesAsManyUpdatesAsItMay(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	b := newLargeBench(t, 100, 100)
	b.plans[1] = plan{first: 24 * time.Hour}
	refused, sent := 0, 0
	var again func()
	again = func() {
		flowtest.Update(b.Bench, contract.ControlResume, nil, func(_ message.ResumeResult, err error) {
			if err != nil {
				refuses(t, err)
				refused++
			}
		})
		if sent++; sent < 1905 {
			b.At(time.Second, again)
		}
	}
	b.At(time.Minute, again)
	b.At(2*time.Hour, func() { b.cancel(message.CancelRequest{}, 100, func(message.CancelResult) {}) })
	b.run()
	require.Equal(t, 5, refused)
}

func refuses(t *testing.T, err error) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, contract.ErrLargeType, app.Type())
}

func TestALargeBatchWithALongHistoryTakesOnlyACancelOfAll(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(b *largeBench){
		"events": func(b *largeBench) { b.Env.SetCurrentHistoryLength(40_000) },
		"bytes":  func(b *largeBench) { b.Env.SetCurrentHistorySize(40 << 20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := busy(t)
			b.At(time.Minute, func() {
				grow(b)
				flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) { refuses(t, err) })
				flowtest.Update(b.Bench, contract.ControlResume, nil, func(_ message.ResumeResult, err error) { refuses(t, err) })
				flowtest.Update(b.Bench, contract.ControlReschedule, message.RescheduleRequest{SendAfter: "1h"}, func(_ message.RescheduleResult, err error) { refuses(t, err) })
				flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: ids(2000)}, func(_ message.CancelResult, err error) { refuses(t, err) })
				b.Env.SignalWorkflow(contract.ControlPause, nil)
			})
			b.At(20*time.Minute, func() {
				require.Greater(t, len(b.order), 18, "what has not begun goes on")
				require.Empty(t, b.controls)
				require.Equal(t, message.BatchRunning, b.Status().State)
				b.cancel(message.CancelRequest{}, 3000, func(r message.CancelResult) { require.NotZero(t, r.Counts.Sent) })
			})
			require.Equal(t, message.BatchCanceled, b.run().Status.State)
		})
	}
}
