package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Cancel cancels a batch, or the messages of it that are named as for Message,
// and says what became of each. A batch that has ended answers in the same shape,
// with nothing canceled.
//
// When no worker answers in time, the cancel is left behind as a signal, which
// the next worker obeys; then the result has Confirmed false and the error is an
// ErrNoWorker. A message that the batch does not have is ErrNotFound, and nothing
// is done. More than a large batch can do by name is ErrRefused. Where Temporal's answer
// is lost, and asking again on another connection brings none, it is ErrMayHaveChanged.
//
// Above a thousand messages the answer has counts only, and its lists are nil.
func (s *Starter) Cancel(ctx context.Context, ref Ref, q message.CancelRequest) (message.CancelResult, error) {
	q.Reason = message.Clip(q.Reason, message.MaxDetail) // it goes to Temporal, which refuses long ones
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return message.CancelResult{}, err
	}
	if q.Messages, err = s.messageIDs(ctx, ref, q.Messages, d); err != nil {
		return message.CancelResult{}, err
	}
	big := d.Memo.Dir != ""
	switch {
	case !d.Open:
		return s.canceledNothing(ctx, ref, q)
	case big && q.Messages != nil && s.o.Store != nil:
		return s.cancelNamed(ctx, ref, d.Memo.Dir, q)
	case len(q.Messages) > maxLeft:
		return message.CancelResult{}, fmt.Errorf("cancel batch %s: %w: %s are named, at most %s are possible at a time without the store",
			ref.ID, ErrRefused, message.Plural(len(q.Messages), "message"), message.Number(maxLeft))
	}
	var all []string
	var before map[string]message.State
	if big && q.Messages == nil && d.Memo.Total <= message.MaxListed {
		all = allIDs(ref, d.Memo.Total)
		before = s.states(ctx, ref, all)
	}
	var res message.CancelResult
	err = s.update(ctx, ref, contract.ControlCancel, &res, q)
	if errors.Is(err, ErrNoWorker) { // the next worker finds it
		why := err
		if err = s.leave(ctx, ref, contract.ControlCancel, q); err == nil {
			return unconfirmed(ref, why)
		}
	}
	switch {
	case errors.Is(err, ErrEnded):
		return s.canceledNothing(ctx, ref, q)
	case err == nil && before != nil:
		if listed, err := cancelResult(ref, all, before, s.states(ctx, ref, all)); err == nil {
			return listed, nil
		}
	case err == nil && big && q.Messages == nil && d.State != message.BatchCanceling: // else another cancel did it
		if v, err := s.view(ctx, ref); err == nil {
			n := v.CanceledByName(ctx, message.SegmentNever) // which the batch itself does not know
			res.Counts.Canceled, res.Counts.Ended = res.Counts.Canceled-n, res.Counts.Ended+n
		}
	}
	return res, err
}

// messageIDs turns what names messages into their ids, each once; nil stays nil.
func (s *Starter) messageIDs(ctx context.Context, ref Ref, names []string, d server.Description) ([]string, error) {
	if names == nil {
		return nil, nil
	}
	wid := WorkflowID(ref)
	ids, seen := make([]string, 0, len(names)), map[int]bool{}
	for _, name := range names {
		i, err := s.indexOf(ctx, ref, name, d.Memo.Total)
		if err != nil {
			return nil, err
		}
		if !seen[i] {
			ids = append(ids, message.KeyOf(wid).MessageID(i))
		}
		seen[i] = true
	}
	return ids, nil
}

// allIDs are the ids of the messages of a batch that has n of them.
func allIDs(ref Ref, n int) []string {
	ids, key := make([]string, n), message.KeyOf(WorkflowID(ref))
	for i := range ids {
		ids[i] = key.MessageID(i)
	}
	return ids
}

// unconfirmed answers a cancel that the next worker will find. The lists stay null:
// nothing is known of any message yet.
func unconfirmed(ref Ref, why error) (message.CancelResult, error) {
	return message.CancelResult{Batch: ref.ID}, fmt.Errorf("the cancel is recorded but not confirmed: %w", why)
}

// leave leaves a control as a signal. ErrEnded means that the batch has ended.
func (s *Starter) leave(ctx context.Context, ref Ref, name string, q any) error {
	defer s.changed(ref)
	what := name + " batch " + ref.ID
	lost, err := s.server.CallWithRedial(ctx, s.o.Wait, func(ctx context.Context, c client.Client, _ bool) error {
		return c.SignalWorkflow(ctx, WorkflowID(ref), "", name, q)
	})
	switch {
	case lost:
		return fmt.Errorf("%s: %w", what, ErrMayHaveChanged)
	case err != nil && s.server.HasEnded(ctx, s.server.Client, ref):
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	return server.Translate(ctx, what, err)
}

// canceledNothing answers a cancel of a batch that has ended.
func (s *Starter) canceledNothing(ctx context.Context, ref Ref, q message.CancelRequest) (message.CancelResult, error) {
	end, err := s.end(ctx, ref, true)
	if err != nil {
		return message.CancelResult{}, err
	}
	ids := q.Messages
	if ids == nil && end.Status.Total > message.MaxListed {
		res := message.CancelResult{Batch: ref.ID, Confirmed: true}
		for state, n := range end.Status.Counts {
			res.Count(message.CancelEffectOf(message.State(state), false), n)
		}
		return res, nil
	}
	if ids == nil {
		ids = allIDs(ref, end.Status.Total)
	}
	states := make(map[string]message.State, len(end.Rows))
	for i := range end.Rows {
		states[end.Rows[i].ID] = end.Rows[i].State
	}
	if end.Large != nil {
		if states, err = s.viewOf(ref, endedStatus(end)).States(ctx, ids); err != nil {
			return message.CancelResult{}, err
		}
	}
	return cancelResult(ref, ids, states, states)
}

// cancelResult lists messages by their states before and after a cancel.
func cancelResult(ref Ref, ids []string, before, after map[string]message.State) (message.CancelResult, error) {
	res := message.NewCancelResult(ref.ID)
	for _, id := range ids {
		state, ok := after[id]
		if !ok {
			return message.CancelResult{}, fmt.Errorf("message %s of batch %s: %w", id, ref.ID, ErrNotFound)
		}
		res.Add(id, message.CancelEffectOf(state, before[id] != message.Canceled))
	}
	return res, nil
}

// Pause stops new attempts and names the messages whose attempt had left.
//
// Errors of Pause, Resume and Reschedule: ErrNotFound, ErrEnded, ErrRefused,
// ErrNoWorker, ErrUnreachable, ErrMayHaveChanged. With ErrNoWorker and a result that names
// the batch, what was asked for is left behind as a signal, which the next worker obeys;
// what is queued by then may leave first, at most as many messages as a batch has in
// flight.
func (s *Starter) Pause(ctx context.Context, ref Ref) (res message.PauseResult, err error) {
	err = s.control(ctx, ref, contract.ControlPause, &res, message.PauseRequest{At: s.o.Now().UnixMilli()})
	if res.Batch, res.Confirmed = answered(ref, err); !res.Confirmed {
		res.InFlight = nil
	}
	return res, err
}

// answered is the id of a batch whose control was done or recorded, and whether it was
// done.
func answered(ref Ref, err error) (batch string, confirmed bool) {
	var recorded *recordedError
	if err == nil || errors.As(err, &recorded) {
		return ref.ID, err == nil
	}
	return "", false
}

// recordedError says that a control was left for the next worker. It is an ErrNoWorker.
type recordedError struct {
	name string
	why  error
	most int
}

func (e *recordedError) Error() string {
	return fmt.Sprintf("the %s is recorded but not confirmed, at most %s leave before it is obeyed: %v", e.name, message.Plural(e.most, "queued message"), e.why)
}

// Unwrap is why nobody answered.
func (e *recordedError) Unwrap() error { return e.why }

// Resume lets a paused batch go on; one that is not paused stays as it is. Its
// errors are those of Pause.
func (s *Starter) Resume(ctx context.Context, ref Ref) (res message.ResumeResult, err error) {
	err = s.control(ctx, ref, contract.ControlResume, &res, message.PauseRequest{At: s.o.Now().UnixMilli()})
	res.Batch, res.Confirmed = answered(ref, err)
	return res, err
}

// Reschedule makes every message without an attempt due at q.SendAfter; each
// keeps its time to live. A duration counts from this call, not from when a
// worker reads it. A time that cannot be read or lies beyond the dialect's
// horizon is ErrInvalid; the other errors are those of Pause.
func (s *Starter) Reschedule(ctx context.Context, ref Ref, q message.RescheduleRequest) (res message.RescheduleResult, err error) {
	if q.SendAfter, err = s.absolute(q.SendAfter); err != nil {
		return res, err
	}
	err = s.control(ctx, ref, contract.ControlReschedule, &res, q)
	if res.Batch, res.Confirmed = answered(ref, err); err != nil {
		return res, err
	}
	if v, err := s.view(ctx, ref); err == nil && v != nil {
		n := v.CanceledByName(ctx, message.SegmentWaiting) // which the batch itself does not know
		res.Rescheduled, res.Unchanged = res.Rescheduled-n, res.Unchanged+n
	}
	return res, nil
}

// absolute turns a time or a duration from now into a time.
func (s *Starter) absolute(text string) (string, error) {
	at, err := message.ParseTime(text, s.o.Now().UTC())
	if err != nil {
		return "", server.Invalid("send after %q: expected an RFC 3339 time or a duration from now such as 10m or 3d", text)
	}
	return at.Format(time.RFC3339Nano), nil
}

// control makes a change, or leaves it as a signal where no worker answers.
func (s *Starter) control(ctx context.Context, ref Ref, name string, out, arg any) error {
	wid, err := server.WorkflowOf(ref)
	if err != nil {
		return err
	}
	what := name + " batch " + ref.ID
	var st message.Status
	closed, err := s.server.Query(ctx, wid, &st, contract.QueryStatus)
	switch {
	case err != nil:
		err = s.server.WorkerError(ctx, what, err)
	case closed:
		return fmt.Errorf("%s: %w", what, ErrEnded)
	default: // an update that no worker takes might happen at any time
		err = s.update(ctx, ref, name, out, arg)
	}
	if !errors.Is(err, ErrNoWorker) || ctx.Err() != nil {
		return err
	}
	if left := s.leave(ctx, ref, name, arg); left != nil {
		return left
	}
	return &recordedError{name: name, why: err, most: s.o.InFlight}
}

// update runs an update to its end and reads its answer into out. ErrEnded means
// that the workflow had closed or closed meanwhile. The update has one id, by which the
// server knows it when it is asked for again.
func (s *Starter) update(ctx context.Context, ref Ref, name string, out any, args ...any) error {
	defer s.changed(ref)
	what := name + " batch " + ref.ID
	id := uuid.NewString()
	var why error
	lost, err := s.server.CallWithRedial(ctx, s.o.Wait/2, func(uctx context.Context, c client.Client, again bool) error {
		err := server.Update(uctx, c, WorkflowID(ref), id, name, out, args...)
		if err != nil && again {
			why = s.notUpdated(ctx, c, ref, what, err)
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case why == nil:
		why = s.notUpdated(ctx, s.server.Client, ref, what, err)
	}
	if lost && (errors.Is(why, ErrUnreachable) || ctx.Err() != nil) {
		return fmt.Errorf("%s: %w", what, ErrMayHaveChanged)
	}
	return why
}

// notUpdated says why an update was not answered, as far as the server tells on a
// connection.
func (s *Starter) notUpdated(ctx context.Context, c client.Client, ref Ref, what string, err error) error {
	// Whatever went wrong, a batch that has ended has its own answer.
	if !refused(err) && s.server.HasEnded(ctx, c, ref) {
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	return s.server.WorkerErrorBy(ctx, c, what, err)
}

// refused reports whether the workflow itself turned an update down.
func refused(err error) bool {
	var app *temporal.ApplicationError
	types := []string{contract.ErrEndedType, contract.ErrInputType, contract.ErrNoMessageType, contract.ErrLargeType}
	return errors.As(err, &app) && slices.Contains(types, app.Type())
}
