package engine

import (
	"cmp"

	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/callbacks"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// Run runs a small batch to its end, or until it is to continue as new.
func Run(ctx workflow.Context, in contract.Input) (message.Result, error) {
	if err := check(&in); err != nil {
		return message.Result{}, err
	}
	c := &controls{Loop: flow.NewLoop(ctx)}
	if err := c.register(); err != nil {
		return message.Result{}, err
	}
	r := newRun(c.Loop, in, nil)
	if err := c.attach(r); err != nil {
		return message.Result{}, err
	}
	r.signaler = callbacks.NewSignaler(r.Work, r.Wake, r.batch, len(r.recs), false, in.State == nil)
	if again := r.loop(); again {
		in.State = r.state()
		in.Size = cmp.Or(in.Size, maxBatch)
		in.State.Records, in.State.Trails = message.FitRecords(r.recs, in.Size, in.Room)
		return message.Result{}, workflow.NewContinueAsNewError(ctx, contract.SendBatchName, in)
	}
	return r.result(), nil
}

// check refuses what the starter would not have started: a message that is to be
// sent and has no way, or a way over an account without a policy.
func check(in *contract.Input) error {
	b := &in.Batch
	if b.V != message.Version || len(b.Messages) > message.MaxIndex {
		return flow.ErrNoBatch
	}
	for i := range b.Messages {
		if len(b.Messages[i].Problems) > 0 {
			continue
		}
		if len(b.HopsOf(&b.Messages[i])) == 0 {
			return flow.ErrNoBatch
		}
		for _, h := range b.HopsOf(&b.Messages[i]) {
			if _, ok := b.Policies[h.Account]; !ok {
				return flow.ErrNoBatch
			}
		}
	}
	return nil
}
