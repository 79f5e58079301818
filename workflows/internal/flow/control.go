package flow

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
)

// Nothing is an argument of which nothing, or little, is read.
type Nothing = converter.RawValue

// stale reports whether a pause or a resume was asked for before the last one: signals of
// different names that arrive together have lost their order.
func (l *Loop) stale(q any) bool {
	raw, ok := q.(Nothing)
	if !ok || raw.Payload() == nil {
		return false
	}
	var p message.PauseRequest
	if converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &p) != nil || p.At == 0 {
		return false
	}
	before := l.switched
	l.switched = max(before, p.At)
	return p.At < before
}

// ordered is the round of controls that an update belongs to, as a batch brings them to its
// segments; 0 is none.
func (l *Loop) ordered(name, id string) int {
	round := contract.RoundOf(name, id)
	if round == 0 || workflow.GetVersion(l.Root, contract.ChangeOrderRounds, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return 0
	}
	l.Round = max(l.Round, round)
	return round
}

// roundKey is of contexts of updates that are ordered.
type roundKey struct{}

// Ordered reports whether a control comes from a round of the batch, whose times the batch
// has read already.
func Ordered(ctx workflow.Context) bool {
	round, _ := ctx.Value(roundKey{}).(int)
	return round > 0
}

// Overtaken reports whether a control comes from an earlier round than another that has
// come: whoever brought it was stopped on the way, or its connection was, or it waited here
// together with the later one, of which the SDK may let either go on first. What it asks
// for is not wanted any more.
func (l *Loop) Overtaken(ctx workflow.Context) bool {
	round, _ := ctx.Value(roundKey{}).(int)
	return round > 0 && round < l.Round
}

// Query registers a question that the workflow answers.
func (l *Loop) Query(name, says string, handler any) error {
	return workflow.SetQueryHandlerWithOptions(l.Root, name, handler, workflow.QueryHandlerOptions{Description: says})
}

// Bounds from which on a run takes no control but a cancel of all. The server lets a
// run have 2,000 updates, 51,200 events and 50 MB.
const (
	maxUpdates = 1_900
	maxEvents  = 40_000
	maxHistory = 40 << 20
)

// full says why a run takes no more controls; nil is that it does.
func (l *Loop) full() error {
	info := workflow.GetInfo(l.Root)
	if l.updates < maxUpdates && info.GetCurrentHistoryLength() < maxEvents && info.GetCurrentHistorySize() < maxHistory {
		return nil
	}
	return temporal.NewApplicationError(fmt.Sprintf(
		"the history of the batch has %d events, %d bytes and %d updates, which leaves no room for more changes: only all of it can still be canceled",
		info.GetCurrentHistoryLength(), info.GetCurrentHistorySize(), l.updates), contract.ErrLargeType)
}

// Controls are what a batch, or a segment, does when it is asked to. Each is asked for by
// an update, which answers, or by a signal of the same name, which does not.
type Controls struct {
	// Names refuses names of messages that are not there.
	Names func(names []string) error
	// Ended reports whether nothing is left to control.
	Ended func() bool
	// Due refuses a time to which messages cannot be moved.
	Due        func(sendAfter string) error
	Cancel     func(workflow.Context, message.CancelRequest) (message.CancelResult, error)
	Pause      func(workflow.Context, Nothing) (message.PauseResult, error)
	Resume     func(workflow.Context, Nothing) (message.ResumeResult, error)
	Reschedule func(workflow.Context, message.RescheduleRequest) (message.RescheduleResult, error)
}

// Control registers controls. Signals that arrive together have lost the order between
// their names; those of a pause and a resume count that was asked for last, as far as they
// say, else a pause beats a resume, and a cancel beats all. Near a limit of the
// server's all but a cancel of everything is refused, and ignored as a signal.
func (l *Loop) Control(c Controls) error {
	open := func() error {
		if c.Ended() {
			return temporal.NewApplicationError("the batch has ended", contract.ErrEndedType)
		}
		return nil
	}
	return errors.Join(
		control(l, contract.ControlResume, "Goes on after a pause.", func(Nothing) error { return open() }, c.Resume),
		control(l, contract.ControlReschedule, `Moves every message without an attempt: {"sendAfter":"RFC 3339 or a duration"}.`,
			func(q message.RescheduleRequest) error { return cmp.Or(open(), c.Due(q.SendAfter)) }, c.Reschedule),
		control(l, contract.ControlPause, "Lets nothing more leave until resume.", func(Nothing) error { return open() }, c.Pause),
		control(l, contract.ControlCancel, `Ends what has not left: {"reason","messages":["id"]}, both optional.`,
			func(q message.CancelRequest) error { return cmp.Or(unclear(q), c.Names(q.Messages)) }, c.Cancel),
	)
}

// unclear says why a cancel could mean something else than it says; nil is that it is clear.
func unclear(q any) error {
	cancel, ok := q.(message.CancelRequest)
	if !ok || cancel.Unclear == "" {
		return nil
	}
	return temporal.NewApplicationError(cancel.Unclear, contract.ErrInputType)
}

// control registers an update, whose bad requests leave no trace in the history, and the
// signal of the same name.
func control[Q, A any](l *Loop, name, says string, check func(Q) error, do func(workflow.Context, Q) (A, error)) error {
	full := func(q Q) error {
		if cancel, ok := any(q).(message.CancelRequest); ok && cancel.Messages == nil {
			return nil
		}
		return l.full()
	}
	work := func(ctx workflow.Context, q Q) (A, error) {
		defer l.Leave()
		return do(ctx, q)
	}
	On(l, name, func(q Q) {
		err := full(q)
		// Histories of before have such signals that were obeyed.
		if wrong := unclear(q); wrong != nil && workflow.GetVersion(l.Root, contract.ChangeRefuseUnclear, workflow.DefaultVersion, 1) > workflow.DefaultVersion {
			err = wrong
		}
		if err != nil {
			workflow.GetLogger(l.Root).Warn("a signal was ignored", "signal", name, "error", err)
			return
		}
		if l.stale(q) {
			return
		}
		l.Enter()
		workflow.Go(l.Work, func(ctx workflow.Context) {
			if _, err := work(ctx, q); err != nil {
				workflow.GetLogger(l.Root).Warn("what a signal asked for was not done", "signal", name, "error", err)
			}
		})
	})
	return workflow.SetUpdateHandlerWithOptions(l.Root, name, func(ctx workflow.Context, q Q) (A, error) {
		l.Enter()
		l.updates++
		ctx = workflow.WithValue(ctx, roundKey{}, l.ordered(name, workflow.GetCurrentUpdateInfo(ctx).ID))
		l.stale(q) // an update counts from now, whatever its time
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		return work(ctx, q)
	}, workflow.UpdateHandlerOptions{Description: says, Validator: func(q Q) error { return cmp.Or(full(q), check(q)) }})
}

// Named finds messages of a batch by their ids or indexes, each once. Names that the batch
// does not have are passed over and are the error.
func Named(names []string, batch message.Key, find func(index int) (int, bool)) (some []int, unknown error) {
	seen := map[int]bool{}
	for _, name := range names {
		key, index, ok := message.ParseID(name)
		if n, err := strconv.Atoi(name); err == nil {
			key, index, ok = batch, n, true
		}
		i, found := find(index)
		switch {
		case !ok || key != batch || !found:
			unknown = temporal.NewApplicationError(fmt.Sprintf("the batch has no message %q", name), contract.ErrNoMessageType)
		case !seen[i]:
			seen[i] = true
			some = append(some, i)
		}
	}
	return some, unknown
}

// signal is one name of signals: take does what one of them asks for.
type signal struct {
	from workflow.ReceiveChannel
	take func(converter.RawValue)
}

// On adds signals of a name, and what they ask for. A signal without an argument has
// the zero value; one that makes no sense has nobody to answer, and is only logged.
// Listen then takes them. Those that arrive together have lost the order between
// their names: the last that was added wins.
func On[Q any](l *Loop, name string, do func(Q)) {
	take := func(raw converter.RawValue) {
		var q Q
		if raw.Payload() == nil || l.reads(name, raw, &q) {
			do(q)
		}
		l.Wake()
	}
	l.signals = append(l.signals, signal{from: workflow.GetSignalChannel(l.Root, name), take: take})
}

func (l *Loop) reads(name string, raw converter.RawValue, into any) bool {
	err := converter.GetDefaultDataConverter().FromPayload(raw.Payload(), into)
	if err != nil {
		workflow.GetLogger(l.Root).Warn("a signal was ignored", "signal", name, "error", err)
	}
	return err == nil
}

// Listen does what signals ask for from now on.
func (l *Loop) Listen() {
	for _, s := range l.signals {
		workflow.Go(l.Work, func(ctx workflow.Context) {
			for {
				var raw converter.RawValue
				s.from.Receive(ctx, &raw)
				s.take(raw)
			}
		})
	}
}

// Drain does what signals ask for that are still in their channels, and reports
// whether there was one.
func (l *Loop) Drain() (found bool) {
	for _, s := range l.signals {
		var raw converter.RawValue
		for ; s.from.ReceiveAsync(&raw); raw = (converter.RawValue{}) {
			s.take(raw)
			found = true
		}
	}
	return found
}
