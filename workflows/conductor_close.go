package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// close waits for those who still wait for an answer, shows the end and keeps it
// in the store, where it outlives the workflow.
func (c *conductor) close() message.Result {
	c.settle()
	c.finished = c.now()
	if c.disarm != nil {
		c.disarm()
	}
	c.change()
	c.show()
	large := c.large()
	res := message.Result{V: message.Version, Status: c.status(), Large: &large}
	c.keep(res)
	c.settle()
	for c.herald.end(c.state(), c.news) {
		c.settle()
	}
	return res
}

// keep writes the result to the store, unless workers and starter do not share
// one.
func (c *conductor) keep(res message.Result) {
	if c.missing {
		return
	}
	ctx := workflow.WithActivityOptions(c.work, patientOptions(closeToClose, closePatience, "keep the result"))
	in := activities.CloseInput{V: message.Version, Result: res}
	if err := workflow.ExecuteActivity(ctx, CloseName, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(c.root).Error("the result of a batch was not kept in the store", "error", err)
	}
}

// settle waits until nobody waits for an answer and no signal is left.
func (c *conductor) settle() {
	for {
		yield(c.work)
		still := func() bool { return c.handlers == 0 && workflow.AllHandlersFinished(c.root) }
		_ = workflow.Await(c.work, still)
		yield(c.work)
		found := !still()
		for _, s := range c.signals() {
			found = s.drain() || found
		}
		if !found {
			return
		}
	}
}
