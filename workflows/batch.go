package workflows

import (
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// SendBatch runs one batch to its end and returns what became of every message.
// Every way of cancelling closes it as completed, with a result.
func SendBatch(ctx workflow.Context, in Input) (message.Result, error) {
	if err := check(&in); err != nil {
		return message.Result{}, err
	}
	if in.Large != nil {
		return conduct(ctx, in)
	}
	r := newRun(ctx, in, nil)
	if err := r.setup(); err != nil {
		return message.Result{}, err
	}
	r.herald = newHerald(r.work, r.poke, r.batch, len(r.recs), false, in.State == nil)
	if again := r.loop(); again {
		return message.Result{}, workflow.NewContinueAsNewError(ctx, SendBatchName, r.next())
	}
	return r.result(), nil
}

// check refuses what the starter would not have started: a message that is to be
// sent and has no way, or a way over an account without a policy. Those of a large
// batch are the business of its segments.
func check(in *Input) error {
	b := &in.Batch
	if l := in.Large; l != nil {
		if b.V != message.Version || l.Dir == "" || l.Total < 0 || l.Total > message.MaxIndex || l.Rejected < 0 || l.Rejected > l.Total {
			return errNoBatch
		}
		return nil
	}
	if b.V != message.Version || len(b.Messages) > message.MaxIndex {
		return errNoBatch
	}
	for i := range b.Messages {
		if len(b.Messages[i].Problems) > 0 {
			continue
		}
		if len(b.Way(i)) == 0 {
			return errNoBatch
		}
		for _, h := range b.Way(i) {
			if _, ok := b.Policies[h.Account]; !ok {
				return errNoBatch
			}
		}
	}
	return nil
}
