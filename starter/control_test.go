package starter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

func TestCancelAnswersWithWhatTheWorkflowSays(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 3)
	want := message.CancelResult{
		Batch: "a", Canceled: []string{res.Rows[1].ID}, Sent: []string{}, InFlight: []string{}, Ended: []string{},
		Counts: message.CancelCounts{Canceled: 1}, Confirmed: true,
	}
	var got message.CancelRequest
	f.flow(t, "batch-a").update = func(name string, args *commonpb.Payloads) (any, error) {
		if name != contract.ControlCancel {
			return nil, temporal.NewApplicationError("wrong name", "test")
		}
		return want, converter.GetDefaultDataConverter().FromPayloads(args, &got)
	}
	answer, err := s.Cancel(t.Context(), a, message.CancelRequest{Reason: "why", Messages: []string{"1"}})
	require.NoError(t, err)
	require.Equal(t, want, answer)
	require.Equal(t, message.CancelRequest{Reason: "why", Messages: []string{res.Rows[1].ID}}, got)
}

func TestCancelOfAnUnknownMessageDoesNothing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, int) (*starter.Starter, *fake, message.Result){
		"open": openBatch, "closed": closedBatch,
	} {
		for _, id := range []string{"x", "3", message.KeyOf("batch-b").MessageID(0), message.KeyOf("batch-a").MessageID(3)} {
			t.Run(name+" "+id, func(t *testing.T) {
				t.Parallel()
				s, f, res := open(t, 3)
				_, err := s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{res.Rows[0].ID, id}})
				require.ErrorIs(t, err, starter.ErrNotFound)
				require.Zero(t, f.called("UpdateWorkflowExecution"))
				require.Empty(t, f.flow(t, "batch-a").signals)
			})
		}
	}
}

func TestCancelThatTheWorkflowRefusesIsNotFound(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 3)
	f.flow(t, "batch-a").update = func(string, *commonpb.Payloads) (any, error) {
		return nil, temporal.NewApplicationError("the batch has no such message", contract.ErrNoMessageType)
	}
	_, err := s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"0"}})
	require.ErrorIs(t, err, starter.ErrNotFound)
	require.Empty(t, f.flow(t, "batch-a").signals)
}

func TestCancelOfAClosedBatchHasTheSameShape(t *testing.T) {
	t.Parallel()
	s, f, res := closedBatch(t, 6)
	got, err := s.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	id := func(i int) string { return res.Rows[i].ID }
	require.Equal(t, message.CancelResult{
		Batch: "a", Canceled: []string{}, Sent: []string{id(0), id(5)}, InFlight: []string{},
		Ended:  []string{id(1), id(2), id(3), id(4)},
		Counts: message.CancelCounts{Sent: 2, Ended: 4}, Confirmed: true,
	}, got)
	got, err = s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"4", id(0), "4"}})
	require.NoError(t, err)
	require.Equal(t, []string{id(0)}, got.Sent)
	require.Equal(t, []string{id(4)}, got.Ended)
	require.Zero(t, f.called("UpdateWorkflowExecution"))
}

func TestCancelWithoutAWorkerLeavesASignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := newStarter(t, starter.Options{Wait: short})
		start(t, s, request("a", 3))
		got, err := s.Cancel(t.Context(), a, message.CancelRequest{Reason: "r", Messages: []string{"1"}})
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.ErrorContains(t, err, "recorded but not confirmed")
		require.Equal(t, "a", got.Batch)
		require.False(t, got.Confirmed)
		require.Equal(t, []string{`cancel {"reason":"r","messages":["` + message.KeyOf("batch-a").MessageID(1) + `"]}`},
			f.flow(t, "batch-a").signals)
	})
}

func TestCancelOfABatchThatClosesMeanwhileAnswersFromItsResult(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]error{
		"before it is accepted": serviceerror.NewNotFound("workflow execution already completed"),
		"after it is accepted":  temporal.NewApplicationError("Workflow completed before the Update completed.", "AcceptedUpdateCompletedWorkflow"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f, res := openBatch(t, 3)
			w := f.flow(t, "batch-a")
			w.update = func(string, *commonpb.Payloads) (any, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				w.complete(t, res)
				return nil, fail
			}
			got, err := s.Cancel(t.Context(), a, message.CancelRequest{})
			require.NoError(t, err)
			require.True(t, got.Confirmed)
			require.Equal(t, []string{res.Rows[0].ID}, got.Sent)
			require.Len(t, got.Ended, 2)
		})
	}
}

func TestControlsAnswerWithWhatTheWorkflowSays(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 3)
	var at message.RescheduleRequest
	f.flow(t, "batch-a").update = func(name string, args *commonpb.Payloads) (any, error) {
		switch name {
		case contract.ControlPause:
			return message.PauseResult{Batch: "a", InFlight: []string{"x"}}, nil
		case contract.ControlResume:
			return message.ResumeResult{Batch: "a"}, nil
		}
		return message.RescheduleResult{Batch: "a", Rescheduled: 2, Unchanged: 1}, converter.GetDefaultDataConverter().FromPayloads(args, &at)
	}
	paused, err := s.Pause(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, paused.InFlight)
	resumed, err := s.Resume(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, "a", resumed.Batch)
	moved, err := s.Reschedule(t.Context(), a, message.RescheduleRequest{SendAfter: "90m"})
	require.NoError(t, err)
	require.Equal(t, message.RescheduleResult{Batch: "a", Rescheduled: 2, Unchanged: 1, Confirmed: true}, moved)
	require.Equal(t, noon.Add(90*time.Minute).Format(time.RFC3339), at.SendAfter, "a duration counts from the call")
	_, err = s.Reschedule(t.Context(), a, message.RescheduleRequest{SendAfter: "2027-01-01t00:00:00+02:00"})
	require.NoError(t, err)
	require.Equal(t, "2027-01-01T00:00:00+02:00", at.SendAfter)
}

func TestControlsOfAnEndedBatchChangeNothing(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 3)
	for _, name := range []string{"pause", "resume", "reschedule"} {
		require.ErrorIs(t, reads(s, a)[name](t.Context()), starter.ErrEnded, name)
	}
	require.Zero(t, f.called("UpdateWorkflowExecution"))
}

func TestControlsThatTheWorkflowRefuses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]error{
		contract.ErrEndedType: starter.ErrEnded, contract.ErrInputType: starter.ErrInvalid, contract.ErrLargeType: starter.ErrRefused,
	} {
		s, f, _ := openBatch(t, 3)
		f.flow(t, "batch-a").update = func(string, *commonpb.Payloads) (any, error) {
			return nil, temporal.NewApplicationError("no", kind)
		}
		for _, name := range []string{"pause", "resume", "reschedule"} {
			require.ErrorIs(t, reads(s, a)[name](t.Context()), want, name)
		}
	}
}

func TestACancelOfMoreThanABatchCanDoSaysWhy(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 3)
	for _, why := range []string{"cancel all of it, or the others later", "some workflows had not heard of it: cancel again"} {
		f.flow(t, "batch-a").update = func(string, *commonpb.Payloads) (any, error) {
			return nil, temporal.NewApplicationError(why, contract.ErrLargeType)
		}
		_, err := s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"0"}})
		require.ErrorIs(t, err, starter.ErrRefused)
		require.EqualError(t, err, "cancel batch a: the batch refuses it: "+why)
	}
	require.Empty(t, f.flow(t, "batch-a").signals)
}

func TestRescheduleRefusesWhatIsNoTime(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 1)
	for _, text := range []string{"", "tomorrow", "2027-01-01", "10", "-10m"} {
		_, err := s.Reschedule(t.Context(), a, message.RescheduleRequest{SendAfter: text})
		require.ErrorIs(t, err, starter.ErrInvalid, "%q", text)
	}
	require.Zero(t, f.called("UpdateWorkflowExecution"))
}

func TestControlsWithoutAWorkerAreRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := newStarter(t, starter.Options{Wait: short, InFlight: 7})
		start(t, s, request("a", 1))
		for _, name := range []string{"pause", "resume", "reschedule"} {
			section(t, name, func(t *testing.T) {
				before := len(f.flow(t, "batch-a").signals)
				err := reads(s, a)[name](t.Context())
				require.ErrorIs(t, err, starter.ErrNoWorker)
				require.ErrorContains(t, err, "the "+name+" is recorded but not confirmed, at most 7 queued messages leave before it is obeyed")
				require.Zero(t, f.called("UpdateWorkflowExecution"), "an update would be another change, at any time")
				require.Len(t, f.flow(t, "batch-a").signals, before+1)
			})
		}
		res, err := s.Pause(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.Equal(t, message.PauseResult{Batch: "a"}, res)
	})
}

func TestAControlWhoseWorkerGoesAwayIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, _ := openBatchWith(t, 1, starter.Options{Wait: short}) // answers queries, but no update
		_, err := s.Pause(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.ErrorContains(t, err, "recorded")
		require.Len(t, f.flow(t, "batch-a").signals, 1)
	})
}

func TestCancelOfABatchThatClosesBeforeTheSignalAnswersFromItsResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, res := openBatchWith(t, 3, starter.Options{Wait: short})
		w := f.flow(t, "batch-a")
		f.onSignal = func() { w.complete(t, res) }
		got, err := s.Cancel(t.Context(), a, message.CancelRequest{})
		require.NoError(t, err)
		require.True(t, got.Confirmed)
		require.Equal(t, message.CancelCounts{Sent: 1, Ended: 2}, got.Counts)
	})
}

func TestABatchPausedByTemporalItselfSaysSo(t *testing.T) {
	t.Parallel()
	s, f, _ := openBatch(t, 1)
	f.flow(t, "batch-a").status = enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED
	_, err := s.Status(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNoWorker)
	require.ErrorContains(t, err, "paused")
}
