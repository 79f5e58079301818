package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// SendBatch runs one batch to its end and returns what became of every message.
// Every way of cancelling closes it as completed, with a result.
func SendBatch(ctx workflow.Context, in Input) (message.Result, error) {
	r := newRun(ctx, in)
	if err := r.setup(); err != nil {
		return message.Result{}, err
	}
	if again := r.loop(); again {
		return message.Result{}, workflow.NewContinueAsNewError(ctx, SendBatchName, r.next())
	}
	return r.result(), nil
}
