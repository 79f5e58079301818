package holds

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// Bounds of one run: whoever follows the holds reads the whole history of the last one.
const (
	maxChanges = 250
	maxHistory = 2 << 20
)

// Run takes changes of the holds, for ever. Readers apply the same changes from its
// history, from the input on; it does so for the input of its next run.
func Run(ctx workflow.Context, in contract.HoldsInput) error {
	if in.V != message.Version {
		return flow.ErrNoBatch
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancel would end what is held
	if err := workflow.SetQueryHandler(ctx, contract.QueryHolds, func() (contract.Holds, error) { return in.Holds, nil }); err != nil {
		return err
	}
	changes := workflow.GetSignalChannel(ctx, contract.SignalHolds)
	var raw converter.RawValue
	for n := 0; n < maxChanges && workflow.GetInfo(ctx).GetCurrentHistorySize() < maxHistory; n++ {
		changes.Receive(ctx, &raw)
		in.Holds = apply(ctx, in.Holds, raw)
	}
	for changes.ReceiveAsync(&raw) {
		in.Holds = apply(ctx, in.Holds, raw)
	}
	in.Holds = in.Holds.Current(workflow.Now(ctx).UnixMilli())
	return workflow.NewContinueAsNewError(ctx, contract.HoldsName, in)
}

// apply makes a change; one that makes no sense is passed over, as by readers.
func apply(ctx workflow.Context, h contract.Holds, raw converter.RawValue) contract.Holds {
	var c contract.HoldChange
	if raw.Payload() == nil || converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &c) != nil || c.V != message.Version {
		workflow.GetLogger(ctx).Warn("a change of the holds was ignored")
		return h
	}
	return h.Apply(c)
}
