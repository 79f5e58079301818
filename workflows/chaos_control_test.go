package workflows_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// ask asks a segment's workflow, for some seconds. closed means that it has ended.
func ask[A any](c *largeChaos, ctx workflow.Context, number int, name string, arg any) (a A, closed, answered bool) {
	c.pass(ctx, 300*time.Millisecond)
	c.asks++
	err := c.env.UpdateWorkflowByID(fmt.Sprintf("batch-b~%04d", number), name, fmt.Sprintf("ask-%d", c.asks), &testsuite.TestUpdateCallback{
		OnReject: func(error) { closed = true }, // it has ended but for its last words
		OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a, _ = v.(A)
			answered, closed = err == nil, err != nil
		},
	}, arg)
	if err != nil {
		return a, true, false
	}
	for range 40 {
		if closed || answered {
			break
		}
		_ = workflow.Sleep(ctx, 100*time.Millisecond)
	}
	return a, closed, answered
}

// onControl brings controls to segments, one after the other.
func (c *largeChaos) onControl(ctx workflow.Context, in contract.ControlSegmentsInput) (contract.ControlSegmentsResult, error) {
	res := contract.ControlSegmentsResult{V: 1}
	for _, number := range in.Segments {
		closed, answered := false, false
		switch {
		case in.Cancel != nil:
			var r message.CancelResult
			r, closed, answered = ask[message.CancelResult](c, ctx, number, contract.ControlCancel, *in.Cancel)
			res.Canceled.Canceled += r.Counts.Canceled
			res.Canceled.Sent += r.Counts.Sent
			res.Canceled.InFlight += r.Counts.InFlight
			res.Canceled.Ended += r.Counts.Ended
		default:
			if in.SendAfter != "" {
				var r message.RescheduleResult
				r, closed, answered = ask[message.RescheduleResult](c, ctx, number, contract.ControlReschedule, message.RescheduleRequest{SendAfter: in.SendAfter})
				res.Rescheduled += r.Rescheduled
			}
			if in.Pause && !closed {
				_, closed, answered = ask[message.PauseResult](c, ctx, number, contract.ControlPause, nil)
			}
			if in.Resume && !closed {
				_, closed, answered = ask[message.ResumeResult](c, ctx, number, contract.ControlResume, nil)
			}
		}
		switch {
		case answered:
			res.Answered = append(res.Answered, number)
		case !closed:
			res.Later = append(res.Later, number)
		}
	}
	return res, c.lost(40)
}

// onCancelMessages does what the starter does: it writes names, then looks who has the
// messages, and asks those.
func (c *largeChaos) onCancelMessages(ctx workflow.Context, in contract.CancelMessagesInput) (contract.CancelMessagesResult, error) {
	res := contract.CancelMessagesResult{V: 1}
	for _, q := range in.Requests {
		r, err := c.cancelNamed(ctx, q, in.At)
		if err != nil {
			return res, err
		}
		res.Results = append(res.Results, r)
	}
	return res, c.lost(40)
}

func (c *largeChaos) cancelNamed(ctx workflow.Context, q message.CancelRequest, at int64) (message.CancelResult, error) {
	r := message.CancelResult{Batch: "b", Confirmed: true}
	c.pass(ctx, 2*time.Second)
	if err := c.away(); err != nil {
		return r, err
	}
	var todo []int
	for _, id := range q.Messages {
		_, i, _ := message.ParseID(id)
		todo = append(todo, i)
		if _, before := c.named[i]; !before {
			c.named[i] = at
		}
	}
	c.pass(ctx, 2*time.Second)
	v, err := c.env.QueryWorkflow(contract.QueryOverview)
	require.NoError(c.t, err)
	var o message.Overview
	require.NoError(c.t, v.Get(&o))
	c.pass(ctx, 2*time.Second)
	for _, i := range todo {
		into, err := c.cancelMessage(ctx, &o, i, at, &r)
		if err != nil {
			return r, err
		}
		*into = append(*into, flowtest.ID(i))
	}
	r.Counts = message.CancelCounts{Canceled: len(r.Canceled), Sent: len(r.Sent), InFlight: len(r.InFlight), Ended: len(r.Ended)}
	return r, nil
}

// segmentOf is the number of the segment that a message is in.
func (c *largeChaos) segmentOf(i int) int { return i/c.size + 1 }

// owner is the workflow that has a message and runs; 0 is none.
func (c *largeChaos) owner(o *message.Overview, i int) int {
	number := c.segmentOf(i)
	if number > len(o.Large.Segments) {
		return 0
	}
	switch o.Large.Segments[number-1] {
	case message.SegmentRunning, message.SegmentRetrying:
		return number
	}
	return 0
}

// cancelMessage finds the list of the answer that a message stands in.
func (c *largeChaos) cancelMessage(ctx workflow.Context, o *message.Overview, i int, at int64, r *message.CancelResult) (*[]string, error) {
	number := c.owner(o, i)
	rec, ok := c.record(&o.Large, i)
	if number > 0 {
		a, closed, answered := ask[message.CancelResult](c, ctx, number, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(i)}})
		switch {
		case !answered && !closed:
			return nil, errors.New("a segment of the store does not answer")
		case closed:
			rec, ok = c.ledgers[number].Records[i%c.size], true
		case len(a.Canceled) > 0:
			return &r.Canceled, nil
		case len(a.Sent) > 0:
			return &r.Sent, nil
		case len(a.InFlight) > 0:
			return &r.InFlight, nil
		default:
			return &r.Ended, nil
		}
	}
	switch {
	case ok && rec.State.Taken():
		return &r.Sent, nil
	case ok && rec.State.Final() && (rec.State != message.Canceled || rec.Finished != at), (!ok || !rec.State.Final()) && c.named[i] != at:
		return &r.Ended, nil
	}
	return &r.Canceled, nil
}
