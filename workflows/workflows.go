package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/callbacks"
	"volley/workflows/contract"
	"volley/workflows/coordinator"
	"volley/workflows/engine"
	"volley/workflows/holds"
	"volley/workflows/latereports"
	"volley/workflows/redriven"
)

// SendBatch runs one batch to its end and returns what became of every message.
// Every way of cancelling closes it as completed, with a result.
func SendBatch(ctx workflow.Context, in contract.Input) (message.Result, error) {
	if in.Large != nil {
		return coordinator.Run(ctx, in)
	}
	return engine.Run(ctx, in)
}

// SendSegment runs one segment of a large batch to its end, and keeps what became of it
// in the store.
func SendSegment(ctx workflow.Context, in contract.SegmentInput) (contract.SegmentResult, error) {
	return engine.RunSegment(ctx, in)
}

// Notify tells a batch's events to its caller's endpoint, in the order in which they
// happen, and ends when the batch has ended and all of them were accepted or given
// up.
func Notify(ctx workflow.Context, in contract.NotifyInput) (contract.NotifyResult, error) {
	return callbacks.Run(ctx, in)
}

// KeepReports takes the delivery reports of one batch that its workflow cannot take:
// it has ended, or is a large one, whose segments may have ended.
func KeepReports(ctx workflow.Context, in contract.KeepReportsInput) error {
	return latereports.Run(ctx, in)
}

// HoldRedriven keeps which messages of a batch a redrive has taken, for as long as the
// batch itself is kept.
func HoldRedriven(ctx workflow.Context, in contract.HoldRedrivenInput) error {
	return redriven.Run(ctx, in)
}

// Holds keeps what is held, for ever. Its input says what was before.
func Holds(ctx workflow.Context, in contract.HoldsInput) error { return holds.Run(ctx, in) }
