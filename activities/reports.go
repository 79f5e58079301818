package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
)

// ReportsInput asks for reports to be brought to whoever has their messages now: a
// workflow that runs, or else the store.
type ReportsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch   string           `json:"batch"`
	Reports []message.Report `json:"reports"`
}

// ReportsResult says what became of the reports.
type ReportsResult struct {
	V int `json:"v"`
	// Later are the places in the list of reports that nobody can take yet, since what
	// will have their messages has not begun.
	Later []int `json:"later,omitempty"`
	// Passed went to a workflow, Kept into the store. Repeated changed nothing, and
	// Unknown are of no message of the batch.
	Passed   int `json:"passed,omitempty"`
	Kept     int `json:"kept,omitempty"`
	Repeated int `json:"repeated,omitempty"`
	Unknown  int `json:"unknown,omitempty"`
}

// ReportRouter brings reports to whoever has their messages. *starter.Starter is one.
// It may be called again with reports that it has brought already.
type ReportRouter interface {
	RouteReports(ctx context.Context, batch string, reports []message.Report) (ReportsResult, error)
}

var errNoRouter = errors.New("this worker has nothing that brings reports to batches")

// RouteReports brings reports that came too late for their batch, or for a segment
// of it, to where they belong. Of a batch there is one call at a time, which makes
// it the only writer of what the store has of late reports.
func (a *Activities) RouteReports(ctx context.Context, in ReportsInput) (ReportsResult, error) {
	if a.reports == nil {
		return ReportsResult{V: message.Version}, errNoRouter
	}
	res, err := a.reports.RouteReports(ctx, in.Batch, in.Reports)
	res.V = message.Version
	if err != nil {
		return res, err
	}
	for outcome, n := range map[string]int{"kept": res.Kept, "repeated": res.Repeated, "unknown": res.Unknown} {
		if n > 0 {
			activity.GetMetricsHandler(ctx).
				WithTags(map[string]string{"outcome": outcome, "account": ""}).Counter("volley_reports").Inc(int64(n))
		}
	}
	return res, nil
}
