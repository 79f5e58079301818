package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/workflows/contract"
)

// ReportRouter brings reports to whoever has their messages. *starter.Starter is one.
// It may be called again with reports that it has brought already.
type ReportRouter interface {
	RouteReports(ctx context.Context, batch string, reports []message.Report) (contract.ReportsResult, error)
}

var errNoRouter = errors.New("this worker has nothing that brings reports to batches")

// RouteReports brings reports that came too late for their batch, or for a segment
// of it, to where they belong. Of a batch there is one call at a time, which makes
// it the only writer of what the store has of late reports.
func (a *Activities) RouteReports(ctx context.Context, in contract.ReportsInput) (contract.ReportsResult, error) {
	if a.reports == nil {
		return contract.ReportsResult{V: message.Version}, errNoRouter
	}
	defer showAlive(ctx)()
	res, err := a.reports.RouteReports(ctx, in.Batch, in.Reports)
	res.V = message.Version
	if err != nil {
		return res, err
	}
	for outcome, n := range map[string]int{
		contract.ReportKept: res.Kept, contract.ReportRepeated: res.Repeated, contract.ReportUnknown: res.Unknown, contract.ReportDropped: res.Dropped,
	} {
		if n > 0 {
			activity.GetMetricsHandler(ctx).
				WithTags(map[string]string{"outcome": outcome, "account": ""}).Counter("volley_reports").Inc(int64(n))
		}
	}
	return res, nil
}

// showAlive sends heartbeats until stop is called, so that what a worker had under way
// that is no more is soon begun elsewhere.
func showAlive(ctx context.Context) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go func() {
		for tick := time.Tick(aliveEvery); ; {
			select {
			case <-tick:
				activity.RecordHeartbeat(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return stop
}

// aliveEvery is a third of the shortest heartbeat timeout of such an activity.
const aliveEvery = 10 * time.Second
