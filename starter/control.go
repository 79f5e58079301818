package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

// Cancel cancels a batch, or the messages of it that are named by id or index,
// and says what became of each. A batch that has ended answers in the same shape,
// with nothing canceled.
//
// When no worker answers in time, the cancel is left behind as a signal, which
// the next worker obeys; then the result has Confirmed false and the error is an
// ErrNoWorker. A message that the batch does not have is ErrNotFound, and nothing
// is done. More than a large batch can do by name is ErrRefused.
//
// Above a thousand messages the answer has counts only, and its lists are nil.
func (s *Starter) Cancel(ctx context.Context, ref Ref, q message.CancelRequest) (message.CancelResult, error) {
	d, err := s.recall(ctx, ref)
	if err != nil {
		return message.CancelResult{}, err
	}
	if q.Messages, err = messageIDs(ref, q.Messages, d); err != nil {
		return message.CancelResult{}, err
	}
	if !d.open {
		return s.canceledNothing(ctx, ref, q)
	}
	var res message.CancelResult
	err = s.update(ctx, ref, workflows.ControlCancel, &res, q)
	switch {
	case errors.Is(err, ErrEnded):
		return s.canceledNothing(ctx, ref, q)
	case errors.Is(err, ErrNoWorker):
		return s.signalCancel(ctx, ref, q, err)
	}
	return res, err
}

// messageIDs turns what names messages into their ids; nil stays nil.
func messageIDs(ref Ref, names []string, d description) ([]string, error) {
	if names == nil {
		return nil, nil
	}
	wid := WorkflowID(ref)
	ids := make([]string, 0, len(names))
	for _, name := range names {
		i, ok := messageIndex(wid, name)
		if !ok || d.known && i >= d.memo.Total {
			return nil, fmt.Errorf("message %s of batch %s: %w", name, ref.ID, ErrNotFound)
		}
		ids = append(ids, message.KeyOf(wid).MessageID(i))
	}
	return ids, nil
}

// signalCancel leaves the cancel where the next worker finds it.
func (s *Starter) signalCancel(ctx context.Context, ref Ref, q message.CancelRequest, why error) (message.CancelResult, error) {
	sctx, stop := context.WithTimeout(ctx, s.o.Wait)
	defer stop()
	if err := s.c.SignalWorkflow(sctx, WorkflowID(ref), "", workflows.ControlCancel, q); err != nil {
		if ended, derr := s.ended(ctx, ref); derr == nil && ended {
			return s.canceledNothing(ctx, ref, q)
		}
		return message.CancelResult{}, s.translate(ctx, "cancel batch "+ref.ID, err)
	}
	// The lists stay null: nothing is known of any message yet.
	return message.CancelResult{Batch: ref.ID}, fmt.Errorf("the cancel is recorded but not confirmed: %w", why)
}

// canceledNothing answers a cancel of a batch that has ended.
func (s *Starter) canceledNothing(ctx context.Context, ref Ref, q message.CancelRequest) (message.CancelResult, error) {
	end, err := s.end(ctx, ref, true)
	if err != nil {
		return message.CancelResult{}, err
	}
	if end.Large != nil {
		return s.canceledNothingLarge(ctx, ref, end, q)
	}
	missing := map[string]bool{}
	for _, id := range q.Messages {
		missing[id] = true
	}
	some := q.Messages != nil
	res := message.CancelResult{
		Batch: ref.ID, Confirmed: true,
		Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{},
	}
	for i := range end.Rows {
		row := &end.Rows[i]
		if some && !missing[row.ID] {
			continue
		}
		delete(missing, row.ID)
		if row.State.Taken() {
			res.Sent = append(res.Sent, row.ID)
		} else {
			res.Ended = append(res.Ended, row.ID)
		}
	}
	for id := range missing {
		return message.CancelResult{}, fmt.Errorf("message %s of batch %s: %w", id, ref.ID, ErrNotFound)
	}
	res.Counts = message.CancelCounts{Sent: len(res.Sent), Ended: len(res.Ended)}
	return res, nil
}

// Pause stops new attempts and names the messages whose attempt had left.
//
// Errors of Pause, Resume and Reschedule: ErrNotFound, ErrEnded, ErrRefused,
// ErrNoWorker, ErrUnreachable. They first make sure that a worker answers, and change nothing
// when none does. Should the worker go away in the instant between that and the
// change, the error says that the change may still happen: Temporal keeps an
// update that no worker has seen for as long as the workflow stays in the
// server's memory, and it cannot be taken back.
func (s *Starter) Pause(ctx context.Context, ref Ref) (message.PauseResult, error) {
	var res message.PauseResult
	err := s.control(ctx, ref, workflows.ControlPause, &res)
	return res, err
}

// Resume lets a paused batch go on; one that is not paused stays as it is. Its
// errors are those of Pause.
func (s *Starter) Resume(ctx context.Context, ref Ref) (message.ResumeResult, error) {
	var res message.ResumeResult
	err := s.control(ctx, ref, workflows.ControlResume, &res)
	return res, err
}

// Reschedule makes every message without an attempt due at q.SendAfter; each
// keeps its time to live. A duration counts from this call, not from when a
// worker reads it. A time that cannot be read or lies beyond the dialect's
// horizon is ErrInvalid; the other errors are those of Pause.
func (s *Starter) Reschedule(ctx context.Context, ref Ref, q message.RescheduleRequest) (message.RescheduleResult, error) {
	var res message.RescheduleResult
	at, err := s.absolute(q.SendAfter)
	if err != nil {
		return res, err
	}
	q.SendAfter = at
	err = s.control(ctx, ref, workflows.ControlReschedule, &res, q)
	return res, err
}

// absolute turns a time or a duration from now into a time.
func (s *Starter) absolute(text string) (string, error) {
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return text, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return "", invalid("send after %q: expected an RFC 3339 time or a duration from now such as 10m", text)
	}
	return s.o.Now().Add(d).UTC().Format(time.RFC3339Nano), nil
}

// control makes a change that must not happen behind the caller's back: only
// after a worker has answered.
func (s *Starter) control(ctx context.Context, ref Ref, name string, out any, args ...any) error {
	wid, err := workflowOf(ref)
	if err != nil {
		return err
	}
	what := name + " batch " + ref.ID
	var st message.Status
	closed, err := s.query(ctx, wid, &st, workflows.QueryStatus)
	switch {
	case err != nil:
		return s.workerError(ctx, what, err)
	case closed:
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	err = s.update(ctx, ref, name, out, args...)
	if errors.Is(err, ErrNoWorker) {
		return fmt.Errorf("%w; it may still happen when a worker comes back", err)
	}
	return err
}

// update runs an update to its end and reads its answer into out. ErrEnded means
// that the workflow had closed or closed meanwhile.
func (s *Starter) update(ctx context.Context, ref Ref, name string, out any, args ...any) error {
	uctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	what := name + " batch " + ref.ID
	h, err := s.c.UpdateWorkflow(uctx, client.UpdateWorkflowOptions{
		UpdateID: uuid.NewString(), WorkflowID: WorkflowID(ref), UpdateName: name, Args: args,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = h.Get(uctx, out)
	}
	if err == nil {
		return nil
	}
	if refused(err) {
		return s.workerError(ctx, what, err)
	}
	// Whatever went wrong, a batch that has ended has its own answer.
	if ended, derr := s.ended(ctx, ref); derr == nil && ended {
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	return s.workerError(ctx, what, err)
}

// refused reports whether the workflow itself turned an update down.
func refused(err error) bool {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) {
		return false
	}
	switch app.Type() {
	case workflows.ErrEndedType, workflows.ErrInputType, workflows.ErrNoMessageType, workflows.ErrLargeType:
		return true
	}
	return false
}

func (s *Starter) ended(ctx context.Context, ref Ref) (bool, error) {
	d, err := s.describe(ctx, ref)
	return err == nil && !d.open, err
}
