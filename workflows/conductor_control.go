package workflows

import (
	"fmt"
	"strconv"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// ErrLargeType is the type of the application error with which a large batch
// answers what its workflow cannot.
const ErrLargeType = "large"

var errLarge = temporal.NewNonRetryableApplicationError(
	"the messages of a large batch are not in its workflow: query those of its segments, or use volley", ErrLargeType, nil)

// setup registers what the batch answers to. Signals and updates do the same.
func (c *conductor) setup() error {
	ended := func() error {
		if c.ended() {
			return temporal.NewApplicationError("the batch has ended", ErrEndedType)
		}
		return nil
	}
	ask := func(name, says string, handler any) func() error {
		return func() error {
			return workflow.SetQueryHandlerWithOptions(c.root, name, handler, workflow.QueryHandlerOptions{Description: says})
		}
	}
	setters := []func() error{
		ask(QueryStatus, "Counts by state, times and totals; running segments by their last report.",
			func() (message.Status, error) { return c.status(), nil }),
		ask(QueryOverview, "The status, and how each segment stands.", func() (message.Overview, error) { return c.overview(), nil }),
		ask(QueryMessages, "Not for large batches.", func(nothing) (message.Page, error) { return message.Page{}, errLarge }),
		ask(QueryMessage, "Not for large batches.", func(nothing) (message.Row, error) { return message.Row{}, errLarge }),
		func() error {
			return control(c, ControlCancel, `Ends what has not left: {"reason","messages":["id"]}, both optional.`, func(q message.CancelRequest) error {
				_, err := c.targets(q.Messages)
				return err
			}, c.onCancel)
		},
		func() error {
			return control(c, ControlPause, "Lets nothing more leave until resume.", func(nothing) error { return ended() }, c.onPause)
		},
		func() error {
			return control(c, ControlResume, "Goes on after a pause.", func(nothing) error { return ended() }, c.onResume)
		},
		func() error {
			return control(c, ControlReschedule, `Moves every message without an attempt: {"sendAfter":"RFC 3339 or a duration"}.`, func(q message.RescheduleRequest) error {
				if err := ended(); err != nil {
					return err
				}
				_, err := dueAfter(workflow.Now(c.root), c.batch.Horizon, q.SendAfter)
				return err
			}, c.onReschedule)
		},
	}
	for _, set := range setters {
		if err := set(); err != nil {
			return err
		}
	}
	for _, s := range c.signals() {
		s.listen()
	}
	return nil
}

// control registers an update whose bad requests leave no trace in the history.
func control[Q, A any](c *conductor, name, says string, check func(Q) error, do func(workflow.Context, Q) (A, error)) error {
	return workflow.SetUpdateHandlerWithOptions(c.root, name,
		func(ctx workflow.Context, q Q) (A, error) {
			c.handlers++
			c.updates++
			defer func() { c.handlers--; c.poke() }()
			work, _ := workflow.NewDisconnectedContext(ctx)
			return do(work, q)
		},
		workflow.UpdateHandlerOptions{Description: says, Validator: func(q Q) error {
			if c.updates >= maxLed {
				return temporal.NewApplicationError(
					fmt.Sprintf("the batch has taken %d updates, as many as it may; signals of the same names do the same", c.updates), ErrLargeType)
			}
			return check(q)
		}})
}

// signals do at once what the updates of the same names do, and answer nobody. As
// in small batches a pause beats a resume and a cancel beats all.
func (c *conductor) signals() []signal {
	return []signal{
		heed(c, signalReport, c.hear),
		heed(c, ControlResume, func(nothing) { c.resume() }),
		heed(c, ControlReschedule, func(q message.RescheduleRequest) {
			at, err := dueAfter(workflow.Now(c.root), c.batch.Horizon, q.SendAfter)
			if err != nil {
				workflow.GetLogger(c.root).Warn("a reschedule signal was ignored", "error", err)
			} else if c.reschedule(at) {
				c.tell(moveTo(at))
			}
		}),
		heed(c, ControlPause, func(nothing) {
			if c.pause() {
				c.tell(Order{Pause: true})
			}
		}),
		heed(c, ControlCancel, c.onCancelSignal),
	}
}

// heed does what signals of one name ask for.
func heed[Q any](c *conductor, name string, do func(Q)) signal {
	ch := workflow.GetSignalChannel(c.root, name)
	take := func(raw converter.RawValue) {
		var q Q
		if raw.Payload() != nil {
			if err := converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &q); err != nil {
				workflow.GetLogger(c.root).Warn("a signal was ignored", "signal", name, "error", err)
				return
			}
		}
		do(q)
		c.poke()
	}
	return signal{
		listen: func() {
			workflow.Go(c.work, func(ctx workflow.Context) {
				for {
					var raw converter.RawValue
					ch.Receive(ctx, &raw)
					take(raw)
				}
			})
		},
		drain: func() (any bool) {
			var raw converter.RawValue
			for ; ch.ReceiveAsync(&raw); raw = (converter.RawValue{}) {
				take(raw)
				any = true
			}
			return any
		},
	}
}

// targets are the indexes of the messages named, each once. Ids that the batch
// does not have are passed over and are the error.
func (c *conductor) targets(ids []string) ([]int, error) {
	var some []int
	var unknown error
	seen := map[int]bool{}
	for _, id := range ids {
		key, i, ok := message.ParseID(id)
		if n, err := strconv.Atoi(id); err == nil {
			key, i, ok = c.key, n, n >= 0
		}
		switch {
		case !ok || key != c.key || i >= c.in.Total:
			unknown = temporal.NewApplicationError(fmt.Sprintf("the batch has no message %q", id), ErrNoMessageType)
		case !seen[i]:
			seen[i] = true
			some = append(some, i)
		}
	}
	return some, unknown
}
