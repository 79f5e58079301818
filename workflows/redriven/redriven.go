package redriven

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

const (
	// firstWait and maxWait bound the wait between two looks at the batch, which doubles.
	firstWait = time.Minute
	maxWait   = 6 * time.Hour
	// outlive is how much later than the batch's workflow this one ends. Temporal removes
	// workflows a fixed time after their end, give or take half an hour, and for twelve
	// hours a redrive that broke off can be started.
	outlive = 13 * time.Hour
	// callWait is how long one look may take.
	callWait = 30 * time.Second
	// maxEvents is how long a history may become.
	maxEvents = 10_000
)

// Run holds messages of a batch for one redrive. What it holds stands in its input, which
// readers take from its history, so that nobody waits for a worker. It ends once the
// batch has ended for some time, and Temporal then keeps it longer than the batch.
func Run(ctx workflow.Context, in contract.HoldRedrivenInput) error {
	if in.V != message.Version || in.Batch == "" {
		return flow.ErrNoBatch
	}
	// Nobody else may send these messages because somebody canceled this.
	work, _ := workflow.NewDisconnectedContext(ctx)
	looks := workflow.WithActivityOptions(work, workflow.ActivityOptions{
		StartToCloseTimeout: callWait, RetryPolicy: &temporal.RetryPolicy{MaximumInterval: 5 * time.Minute},
	})
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		runs := true
		err := workflow.ExecuteActivity(looks, contract.BatchRunsName, contract.BatchRunsInput{V: message.Version, Batch: in.Batch}).Get(work, &runs)
		if err == nil && !runs {
			return workflow.Sleep(work, outlive)
		}
		if err := workflow.Sleep(work, wait); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetCurrentHistoryLength() > maxEvents {
			return workflow.NewContinueAsNewError(ctx, contract.HoldRedrivenName, in)
		}
	}
}
