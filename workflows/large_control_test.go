package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

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
				o := b.overview()
				require.NotEmpty(t, o.Revs)
				require.Len(t, o.Revs, len(o.Counts), "all have reported, as a pause asks them to")
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
