package holdbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/workflows/contract"
)

const (
	// lookEvery is how often is looked for the workflow while there is none, and how long
	// after a failure is read again.
	lookEvery = time.Second
	// taskTimeout is how long the changes may stay unseen that come while a worker dies
	// that works on others.
	taskTimeout = 2 * time.Second
	// maxWaiting is how many changes there may be that no worker has taken in: the server
	// takes 10,000.
	maxWaiting = 5_000
	// runs is how many runs are followed at most to get to the last one.
	runs = 100
)

// ErrFull means that no more changes are taken until a worker takes them in, or no more
// holds until one is released.
var ErrFull = errors.New("too much is held")

// Book is the holds of those that share a queue of workflows.
type Book struct {
	client    client.Client
	queue     string
	converter converter.DataConverter
}

// New returns the book of a queue; empty is contract.TaskQueue. The converter is the
// client's; nil is the SDK's default.
func New(c client.Client, queue string, dc converter.DataConverter) *Book {
	queue = cmp.Or(queue, contract.TaskQueue)
	dc = converter.WithDataConverterSerializationContext(cmp.Or(dc, converter.GetDefaultDataConverter()),
		converter.WorkflowSerializationContext{WorkflowID: contract.HoldsID(queue)})
	return &Book{client: c, queue: queue, converter: dc}
}

// state is what a history says up to one of its events.
type state struct {
	holds contract.Holds
	run   string
	// next is the run after this one; empty is none yet.
	next   string
	event  int64
	closed bool
	// waiting are changes since a worker last took some in.
	waiting int
}

// Read is what is held now. Holds whose time is over are among them until a worker takes
// them out.
func (b *Book) Read(ctx context.Context) (contract.Holds, error) {
	s, err := b.read(ctx)
	return s.holds, err
}

// read is what the history says now; where there is none, nothing.
func (b *Book) read(ctx context.Context) (s state, err error) {
	for range runs {
		s, err = b.readRun(ctx, s.next, false, nil)
		var gone *serviceerror.NotFound
		switch {
		case errors.As(err, &gone):
			return state{}, nil
		case err != nil:
			return state{}, fmt.Errorf("read what is held: %w", err)
		case s.next == "":
			return s, nil
		}
	}
	return state{}, errors.New("read what is held: the workflow goes on in another run, again and again")
}

// readRun reads a run, the last one if it has no name, to its end so far. With follow it
// goes on until the run closes, and tells of every event.
func (b *Book) readRun(ctx context.Context, run string, follow bool, told func(state)) (s state, err error) {
	s.run = run
	events := b.client.GetWorkflowHistory(ctx, contract.HoldsID(b.queue), run, follow, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return s, err
		}
		if err := b.take(&s, e); err != nil {
			return s, err
		}
		if told != nil {
			told(s)
		}
	}
	return s, nil
}

// take adds an event. It fails where one cannot be read for want of a key: what is held is
// not known then.
func (b *Book) take(s *state, e *historypb.HistoryEvent) error {
	s.event = e.GetEventId()
	switch e.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		a := e.GetWorkflowExecutionStartedEventAttributes()
		s.run = a.GetOriginalExecutionRunId()
		var in contract.HoldsInput
		ok, err := b.decode(a.GetInput(), &in)
		if err != nil {
			return err
		}
		if ok {
			s.holds = in.Holds
		}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		a := e.GetWorkflowExecutionSignaledEventAttributes()
		var c contract.HoldChange
		if a.GetSignalName() != contract.SignalHolds {
			break
		}
		ok, err := b.decode(a.GetInput(), &c)
		if err != nil {
			return err
		}
		if ok && c.V == message.Version {
			s.holds = s.holds.Apply(c)
			s.waiting++
		}
	case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
		s.waiting = 0
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		s.next, s.closed = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId(), true
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
		s.closed = true
	}
	return nil
}

// decode reports whether there is something that makes sense.
func (b *Book) decode(p *commonpb.Payloads, into any) (bool, error) {
	if len(p.GetPayloads()) == 0 {
		return false, nil
	}
	err := b.converter.FromPayloads(p, into)
	if errors.Is(err, encryption.ErrNoKey) || errors.Is(err, encryption.ErrDamaged) {
		return false, err
	}
	return err == nil, nil
}

// Change makes a change, and returns when the server has it. Where the workflow was
// ended, it begins anew with what was held.
func (b *Book) Change(ctx context.Context, c contract.HoldChange) error {
	s, err := b.read(ctx)
	if err != nil {
		return err
	}
	if s.waiting >= maxWaiting || c.Hold != nil && !s.holds.Apply(c).Has(c.Hold.Key()) {
		return ErrFull
	}
	c.V = message.Version
	_, err = b.client.SignalWithStartWorkflow(ctx, contract.HoldsID(b.queue), contract.SignalHolds, c, client.StartWorkflowOptions{
		ID: contract.HoldsID(b.queue), TaskQueue: b.queue, WorkflowTaskTimeout: taskTimeout,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "what is held",
	}, contract.HoldsName, contract.HoldsInput{V: message.Version, Holds: s.holds})
	if err != nil {
		return fmt.Errorf("change what is held: %w", err)
	}
	return nil
}

// Follow tells what is held, first as it is now and then at every change, until ctx ends.
// Failures are told as well; reading goes on a second later.
func (b *Book) Follow(ctx context.Context, told func(contract.Holds), failed func(error)) {
	for ctx.Err() == nil {
		s, err := b.read(ctx)
		if err == nil {
			told(s.holds)
		}
		if err == nil && s.run != "" && !s.closed {
			_, err = b.readRun(ctx, s.run, true, func(now state) {
				if now.event > s.event {
					told(now.holds)
				}
			})
			if err == nil {
				continue // the next run is there
			}
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}
