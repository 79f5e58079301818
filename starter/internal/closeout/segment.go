package closeout

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Segment names the workflow of a segment of a large batch.
type Segment struct {
	Ref    server.Ref
	Dir    string
	Number int
	// Rest is what becomes of its messages that never left.
	Rest message.UnrunOutcome
}

func (g *Segment) what() string { return fmt.Sprintf("segment %d of batch %s", g.Number, g.Ref.ID) }

// End is how the workflow of a segment has ended.
type End struct {
	Result contract.SegmentResult
	// Ledger is what became of its messages, where it has not been written.
	Ledger *message.Ledger
}

// ErrNone means that there is no workflow of a segment: it has not begun, or Temporal has
// forgotten it.
var ErrNone = errors.New("it has no workflow")

// End finds out how the workflow of a segment has ended. The error is ErrNone, or
// server.ErrStillRunning, where it has not.
func (s *Reader) End(ctx context.Context, g Segment) (End, error) {
	if s.Store == nil {
		return End{}, fmt.Errorf("%s: %w: none is configured", g.what(), server.ErrStore)
	}
	r, err := s.describe(ctx, g.what(), server.SegmentID(server.WorkflowID(g.Ref), g.Number))
	switch {
	case errors.Is(err, server.ErrNotFound):
		return End{}, fmt.Errorf("%s: %w", g.what(), ErrNone)
	case err != nil:
		return End{}, err
	case server.IsOpen(r.status):
		return End{}, fmt.Errorf("%s: %w", g.what(), server.ErrStillRunning)
	case r.status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		var end End
		err := s.Client.GetWorkflow(ctx, r.id, r.runID).Get(ctx, &end.Result)
		return end, server.Translate(ctx, g.what(), err)
	}
	return s.closeSegment(ctx, g, r)
}

// closeLook is the time between two looks at whether a workflow has closed.
const closeLook = 200 * time.Millisecond

// CloseOut waits until the workflow of a segment has closed, and writes its ledger where it
// has not done so itself. Where it does not close in a while, the error is
// server.ErrStillRunning.
func (s *Reader) CloseOut(ctx context.Context, g Segment) (contract.SegmentResult, error) {
	for began := time.Now(); ; {
		end, err := s.End(ctx, g)
		if errors.Is(err, server.ErrStillRunning) && time.Since(began) < s.Wait {
			select {
			case <-ctx.Done():
				return end.Result, ctx.Err()
			case <-time.After(closeLook):
			}
			continue
		}
		if err != nil || end.Ledger == nil {
			return end.Result, err
		}
		if err := s.Store.KeepLedger(ctx, g.Dir, g.Number, end.Ledger); err != nil {
			return end.Result, server.StoreError(g.what(), err)
		}
		return end.Result, nil
	}
}

// closeSegment puts together what became of the messages of a workflow that Temporal ended.
func (s *Reader) closeSegment(ctx context.Context, g Segment, r run) (End, error) {
	var in contract.SegmentInput
	worked, err := s.begin(ctx, r, &in)
	if err != nil {
		return End{}, err
	}
	if in.Dir != g.Dir { // it is of another batch that had the same id
		return End{}, fmt.Errorf("%s: %w", g.what(), ErrNone)
	}
	var page contract.LedgerPage
	if worked {
		page, err = s.ledger(ctx, r)
	}
	switch {
	case err != nil && !server.IsLoading(err):
		return End{}, err
	case page.Ledger.Records == nil && in.State != nil: // it has done nothing yet
		page = carried(in.State)
	}
	c, err := s.known(ctx, g, in.Due, &page, r.ended)
	if err != nil {
		return End{}, err
	}
	records, counts, rev, err := s.close(r, page, c)
	if err != nil {
		return End{}, err
	}
	page.Ledger.V, page.Ledger.Records = message.Version, records
	return End{
		Result: contract.SegmentResult{V: message.Version, Counts: counts, Reasons: message.ReasonsOf(records), Rev: rev, Started: page.Started, Finished: r.ended},
		Ledger: &page.Ledger,
	}, nil
}

// known is what is known of the messages of a segment beside their records: their hops, and
// which were canceled by name. Of a segment that the store has lost it is nothing. A page
// without records gets those of messages that were not tried yet.
func (s *Reader) known(ctx context.Context, g Segment, due int64, page *contract.LedgerPage, ended int64) (Run, error) {
	m, err := s.Store.Manifest(ctx, g.Dir)
	if err != nil {
		return Run{}, server.StoreError(g.what(), err)
	}
	names, err := s.Store.Canceled(ctx, g.Dir)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return Run{}, server.StoreError(g.what(), err)
	}
	lines, err := s.Store.Lines(ctx, g.Dir, g.Number)
	if err != nil && (page.Ledger.Records == nil || !store.Lost(err)) {
		return Run{}, server.StoreError(g.what(), err)
	}
	if page.Ledger.Records == nil {
		created := m.Batch.CreatedAt.UnixMilli()
		page.Rev = created << message.RevShift
		for i := range lines {
			page.Ledger.Records = append(page.Ledger.Records, lines[i].FirstRecord(created, due))
		}
	}
	canceled := make(map[int]*message.Cancellation, len(names))
	for i := range names {
		canceled[names[i].Index] = &names[i]
	}
	batch := m.Batch
	batch.Messages = make([]message.Message, len(page.Ledger.Records))
	c := Run{Batch: &batch, Rest: g.Rest, Canceled: map[int]*message.Cancellation{}, LeastRev: ended << message.RevShift}
	for i := range min(len(lines), len(batch.Messages)) {
		batch.Messages[i].Route = lines[i].Route
		c.Canceled[i] = canceled[lines[i].Index]
	}
	return c, nil
}
