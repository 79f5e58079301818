package reports

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/trace"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/internal/tracing"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Options configure an Intake.
type Options struct {
	// TaskQueue is that of the workflows.
	TaskQueue string
	// Lag is how long the list of batches may lag behind: a report counts as foreign only
	// after it.
	Lag time.Duration
	// Gather is how long a Reporter gathers the reports of a batch.
	Gather time.Duration
	// Traces makes spans of reports of batches that are traced; nil makes none.
	Traces trace.TracerProvider
}

// Intake takes delivery reports in. It is safe for concurrent use.
type Intake struct {
	*server.Server
	o Options

	mu     sync.Mutex // held while a place changes
	places *lru.Cache[message.Key, place]
}

// NewIntake returns an Intake.
func NewIntake(s *server.Server, o Options) *Intake {
	places, _ := lru.New[message.Key, place](maxPlaces) // fails for a negative number only
	return &Intake{Server: s, o: o, places: places}
}

// Outcome counts what became of reports.
type Outcome struct {
	// Accepted reports are durable: with the workflow that has their messages, or with
	// the one that keeps late reports.
	Accepted int
	// Foreign reports are of no batch that Temporal knows. Repeating them is no use.
	Foreign int
}

// Report takes delivery reports in: each finds its batch by its message's id, and
// is durable when Report returns. Reports of a batch that runs are applied at once;
// those that come after it has ended are kept in the store within seconds.
//
// Errors: ErrUnreachable, ErrNoStore (a report came after the end of its batch, and
// there is no store), ErrReportAgain (too many others of the batch wait, or Temporal
// does not list a batch of that id yet; a report older than five minutes is foreign then);
// after one the reports can be given again.
func (s *Intake) Report(ctx context.Context, reports []message.Report) (Outcome, error) {
	r := s.NewReporter()
	r.Close() // so that it gathers nothing
	return r.Add(ctx, reports)
}

// maxSignal is how many bytes the reports of one signal take at most, roughly.
const maxSignal = 200 << 10

// deliver makes reports of one batch durable, of so many bytes, in a span of the batch's
// trace.
func (s *Intake) deliver(ctx context.Context, h *destination, reports []message.Report, size int) error {
	if ctx = tracing.WithParent(ctx, h.trace); !trace.SpanContextFromContext(ctx).IsSampled() {
		return s.hand(ctx, h, reports, size)
	}
	ctx, span := tracing.Begin(ctx, s.o.Traces, "report", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		tracing.Batch.String(h.wid), tracing.Messages.Int(len(reports)),
	))
	defer tracing.End(span)
	err := s.hand(ctx, h, reports, size)
	if err != nil {
		tracing.Fail(span)
	}
	return err
}

// hand gives reports to the workflow of their batch, or, for a large one and for one that
// has ended, to the workflow that keeps late reports.
func (s *Intake) hand(ctx context.Context, h *destination, reports []message.Report, size int) error {
	sctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	what := "report to batch " + h.ref.ID
	q := contract.Reports{V: message.Version, Reports: reports}
	late, err := s.admit(sctx, h, size)
	if err != nil {
		return fmt.Errorf("%s: %w", what, server.Translate(ctx, "look for room", err))
	}
	if !late {
		err := s.Client.SignalWorkflow(sctx, h.wid, "", contract.SignalReports, q)
		if !server.IsNotFound(err) {
			return delivered(ctx, what, err)
		}
		h.markLate()
		return s.hand(ctx, h, reports, size)
	}
	if s.Store == nil {
		return fmt.Errorf("%s: %w", what, server.ErrNoStore)
	}
	_, err = s.Client.SignalWithStartWorkflow(sctx, contract.ReportsID(h.wid), contract.SignalReports, q, client.StartWorkflowOptions{
		TaskQueue:             s.o.TaskQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "late reports",
	}, contract.KeepReportsName, contract.KeepReportsInput{V: message.Version, Batch: h.wid})
	return delivered(ctx, what, err)
}

// delivered is what a signal ended in. A server that takes no more signals of a run
// takes those of the next one.
func delivered(ctx context.Context, what string, err error) error {
	err = server.Translate(ctx, what, err)
	if errors.Is(err, server.ErrInvalid) {
		return fmt.Errorf("%s: %w: %s", what, server.ErrReportAgain, err.Error())
	}
	return err
}
