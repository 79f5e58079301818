package starter

import (
	"context"

	"volley/internal/message"
	"volley/starter/internal/large"
	"volley/starter/internal/reports"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// ReportOutcome counts what became of reports.
type ReportOutcome = reports.Outcome

// Reporter takes delivery reports in as Starter.Report does, and gathers those of a
// batch for a while (Options.ReportGather), so that many callbacks become one signal.
type Reporter = reports.Reporter

// Report takes delivery reports in: each finds its batch by its message's id, and
// is durable when Report returns. Reports of a batch that runs are applied at once;
// those that come after it has ended are kept in the store within seconds.
//
// Errors: ErrUnreachable, ErrNoStore (a report came after the end of its batch, and
// there is no store), ErrReportAgain (too many others of the batch wait, or Temporal
// does not list a batch of that id yet; a report older than five minutes is foreign then);
// after one the reports can be given again.
func (s *Starter) Report(ctx context.Context, all []message.Report) (ReportOutcome, error) {
	return s.intake.Report(ctx, all)
}

// NewReporter returns a Reporter. Close ends it.
func (s *Starter) NewReporter() *Reporter { return s.intake.NewReporter() }

// RouteReports brings reports to whoever has their messages: to the workflow that
// runs them, or, once that has ended, into the store. batch is the id of the batch's
// workflow. It is what the activity of the same name does; of a batch there must be
// one call at a time, which KeepReports sees to. It can be repeated.
//
// Errors: ErrNoStore, ErrUnreachable, ErrNoWorker, and those of the store. After an
// error some of the reports may have been brought.
func (s *Starter) RouteReports(ctx context.Context, batch string, all []message.Report) (contract.ReportsResult, error) {
	return reports.Route(ctx, s.server, reportedBatches{s}, batch, all)
}

// reportedBatches are the batches that reports are routed to.
type reportedBatches struct{ s *Starter }

// Result is how a small batch has ended.
func (b reportedBatches) Result(ctx context.Context, ref server.Ref) (message.Result, error) {
	return b.s.end(ctx, ref, true)
}

// Find finds out how a batch stands.
func (b reportedBatches) Find(ctx context.Context, ref server.Ref) (open bool, view *large.View, err error) {
	d, err := b.s.server.DescribeOrStored(ctx, ref)
	if err == nil {
		view, err = b.s.viewBy(ctx, ref, d)
	}
	return d.Open, view, err
}

// RestartCallbacks is Starter.RestartCallbacks.
func (b reportedBatches) RestartCallbacks(ctx context.Context, ref server.Ref) error {
	return b.s.RestartCallbacks(ctx, ref)
}
