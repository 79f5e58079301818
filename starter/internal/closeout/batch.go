package closeout

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Batch is a batch whose workflow Temporal has ended.
type Batch struct {
	s     *Reader
	run   run
	Input contract.Input
	// Worked means that it had come to its first workflow task.
	Worked bool
	// Ended is when it ended, in Unix ms.
	Ended int64
}

// Rest is what becomes of messages that never left.
func (b *Batch) Rest() message.UnrunOutcome {
	return message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: message.DetailEndedByTemporal, Finished: b.Ended}
}

// Batch finds a batch that Temporal has ended.
func (s *Reader) Batch(ctx context.Context, ref server.Ref) (*Batch, error) {
	wid, err := server.WorkflowOf(ref)
	if err != nil {
		return nil, err
	}
	b := &Batch{s: s}
	if b.run, err = s.describe(ctx, "batch "+ref.ID, wid); err != nil {
		return nil, err
	}
	b.Ended = b.run.ended
	b.Worked, err = s.begin(ctx, b.run, &b.Input)
	return b, err
}

// Result is what became of a small batch.
func (b *Batch) Result(ctx context.Context) (message.Result, error) {
	page, err := b.ledger(ctx)
	if err != nil {
		return message.Result{}, err
	}
	batch := &b.Input.Batch
	if len(page.Ledger.Records) != len(batch.Messages) {
		return message.Result{}, fmt.Errorf("%s: it told %d messages of %d", b.run.what, len(page.Ledger.Records), len(batch.Messages))
	}
	records, counts, rev, err := b.s.close(b.run, page, Run{Batch: batch, Rest: b.Rest()})
	if err != nil {
		return message.Result{}, err
	}
	res := message.Result{V: message.Version, Rows: make([]message.Row, len(records)), Trails: message.TrailsOf(records)}
	key := message.KeyOf(b.run.id)
	for i := range records {
		res.Rows[i] = batch.RowOf(key, i, &batch.Messages[i], &records[i])
	}
	res.Status = b.Status(counts, message.ReasonsOf(records), rev+1)
	res.Status.SendAfter = message.At(cmp.Or(page.SendAt, batch.SendAfter))
	res.Status.StartedAt = message.At(page.Started)
	return res, nil
}

// ledger is what the run knew of its messages.
func (b *Batch) ledger(ctx context.Context) (contract.LedgerPage, error) {
	batch := &b.Input.Batch
	switch {
	case b.Worked:
		return b.s.ledger(ctx, b.run)
	case b.Input.State != nil:
		return carried(b.Input.State), nil
	}
	page := contract.LedgerPage{Rev: int64(len(batch.Messages))}
	for i := range batch.Messages {
		meta := batch.Meta(i, &batch.Messages[i])
		page.Ledger.Records = append(page.Ledger.Records, meta.FirstRecord(batch.CreatedAt.UnixMilli(), 0))
		page.Ledger.Records[i].Rev = int64(i + 1)
	}
	return page, nil
}

// Status is that of the batch, with counts, their reasons and a rev. Times are those of the
// request.
func (b *Batch) Status(counts message.Counts, reasons message.Reasons, rev int64) message.Status {
	accounts := slices.Collect(maps.Keys(b.Input.Batch.Policies))
	st := b.Input.Batch.Status(message.BatchFailed, accounts, counts, reasons, b.s.Now(), rev)
	st.FinishedAt = message.At(b.Ended)
	return st
}

// Overview is how a large batch stood by what its own workflow knew.
func (b *Batch) Overview(ctx context.Context) (message.Overview, error) {
	if !b.Worked {
		return message.Overview{V: message.Version, Large: message.Large{Dir: b.Input.Large.Dir}}, nil
	}
	var o message.Overview
	err := b.s.ask(ctx, b.run, &o, contract.QueryOverview)
	return o, err
}
