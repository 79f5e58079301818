package latereports

import (
	"math"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
	"volley/workflows/contract"
	"volley/workflows/internal/flow"
)

// Times of keeping reports.
const (
	// gather is how long more reports are waited for before the workflow ends.
	gather = time.Second
	// firstWait and maxWait bound the wait before a report is tried again, in ms,
	// which grows with its age, and patience how old one may become.
	firstWait = int64(1_000)
	maxWait   = int64(5 * 60_000)
	patience  = 24 * time.Hour
	// A call may take callWait, and callEach for each of its reports; a worker that is
	// silent for callSilence is given up.
	callWait    = 2 * time.Minute
	callEach    = 100 * time.Millisecond
	callSilence = 30 * time.Second
	callRetry   = 30 * time.Second
)

// Bounds of a call, and of what the next run is given, in bytes of JSON.
const (
	maxCall      = 5_000
	maxCallBytes = 1 << 20
	maxCarried   = 1 << 20
	// deferredBytes is what a deferred report takes beside the report itself.
	deferredBytes = 60
)

// usage is how much of what the server allows a run has used up.
type usage struct{ events, bytes, signals int }

// A run goes on as another one from grown on, as soon as all reports that it holds can
// be carried. The starter brings none from contract.MaxReportEvents and
// contract.MaxReportBytes on, which lie between grown and full, so that the run comes
// to that. From full on it goes on whatever it has to give up; the server ends it at
// 51,200 events, 50 MB or 10,000 signals.
var (
	grown = usage{events: 4_000, bytes: 4 << 20, signals: 2_000}
	full  = usage{events: 45_000, bytes: 46 << 20, signals: 9_500}
)

// lateReportRouter brings reports to whoever has their messages, one call at a time.
type lateReportRouter struct {
	work    workflow.Context
	batch   string
	signals workflow.ReceiveChannel
	taken   int // signals
	waiting []contract.DeferredReport
}

// Run takes the delivery reports of one batch that its workflow cannot take:
// it has ended, or is a large one, whose segments may have ended. It is the only one
// that writes the batch's late reports, and ends when no more come.
func Run(ctx workflow.Context, in contract.KeepReportsInput) error {
	if in.V != message.Version || in.Batch == "" {
		return flow.ErrNoBatch
	}
	// Nobody repeats a report because somebody canceled this.
	work, _ := workflow.NewDisconnectedContext(ctx)
	k := &lateReportRouter{work: work, batch: in.Batch, signals: workflow.GetSignalChannel(ctx, contract.SignalReports), waiting: in.Waiting}
	for {
		k.receive()
		if k.used(grown) {
			carried, left := pick(k.waiting, len(k.waiting), maxCarried, math.MaxInt64)
			if len(left) == 0 || k.used(full) {
				k.giveUp("the history is full", len(left), nil)
				return workflow.NewContinueAsNewError(ctx, contract.KeepReportsName, contract.KeepReportsInput{V: message.Version, Batch: k.batch, Waiting: carried})
			}
		}
		var some []contract.DeferredReport
		if some, k.waiting = pick(k.waiting, maxCall, maxCallBytes, k.now()); len(some) > 0 {
			k.route(some)
		} else if !k.wait() && len(k.waiting) == 0 {
			return nil
		}
	}
}

func (k *lateReportRouter) now() int64 { return workflow.Now(k.work).UnixMilli() }

// used reports whether the run has used up so much.
func (k *lateReportRouter) used(u usage) bool {
	info := workflow.GetInfo(k.work)
	return info.GetCurrentHistoryLength() >= u.events || info.GetCurrentHistorySize() >= u.bytes || k.taken >= u.signals
}

// receive takes the reports of all signals that are there. One that makes no sense is
// only logged.
func (k *lateReportRouter) receive() {
	for {
		var raw converter.RawValue
		if !k.signals.ReceiveAsync(&raw) {
			return
		}
		k.taken++
		var q contract.Reports
		if raw.Payload() == nil || converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &q) != nil || q.V != message.Version {
			workflow.GetLogger(k.work).Warn("a signal was ignored", "signal", contract.SignalReports)
			continue
		}
		now := k.now()
		for _, p := range q.Reports {
			k.waiting = append(k.waiting, contract.DeferredReport{Report: p.Bounded(), Since: now, Next: now})
		}
	}
}

// pick takes the reports that are due by a time, as many as a bound and a number of
// bytes allow, and returns what is left.
func pick(from []contract.DeferredReport, most, bytes int, due int64) (some, left []contract.DeferredReport) {
	for i := range from {
		if from[i].Next > due {
			left = append(left, from[i])
			continue
		}
		if bytes -= from[i].Size() + deferredBytes; bytes < 0 || len(some) == most {
			return some, append(left, from[i:]...)
		}
		some = append(some, from[i])
	}
	return some, left
}

// route brings reports to where they belong, and keeps those that nobody can take.
func (k *lateReportRouter) route(some []contract.DeferredReport) {
	in := contract.ReportsInput{V: message.Version, Batch: k.batch, Reports: make([]message.Report, len(some))}
	for i := range some {
		in.Reports[i] = some[i].Report
	}
	ctx := workflow.WithActivityOptions(k.work, workflow.ActivityOptions{
		StartToCloseTimeout:    callWait + time.Duration(len(some))*callEach,
		ScheduleToCloseTimeout: patience,
		HeartbeatTimeout:       callSilence,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: callRetry},
	})
	var res contract.ReportsResult
	if err := workflow.ExecuteActivity(ctx, contract.RouteName, in).Get(ctx, &res); err != nil {
		k.giveUp("they could not be brought", len(some), err)
		return
	}
	now, old := k.now(), 0
	for _, i := range res.Later {
		if i < 0 || i >= len(some) {
			continue
		}
		w := some[i]
		age := now - w.Since
		if age >= patience.Milliseconds() {
			old++
			continue
		}
		w.Next = now + min(max(age, firstWait), maxWait)
		k.waiting = append(k.waiting, w)
	}
	k.giveUp("nobody could take them", old, nil)
}

// giveUp counts reports that are lost, and says why.
func (k *lateReportRouter) giveUp(why string, n int, err error) {
	if n == 0 {
		return
	}
	workflow.GetLogger(k.work).Error("reports were given up: "+why, "count", n, "error", err)
	workflow.GetMetricsHandler(k.work).WithTags(map[string]string{"outcome": contract.ReportDropped, "account": ""}).
		Counter("volley_reports").Inc(int64(n))
}

// wait waits for the next signal, or until a report is to be tried again, or, where
// none is, for a while; it reports whether a signal came.
func (k *lateReportRouter) wait() bool {
	d := gather
	for i, w := range k.waiting {
		if left := time.Duration(max(w.Next-k.now(), 1)) * time.Millisecond; i == 0 || left < d {
			d = left
		}
	}
	more, _ := workflow.AwaitWithOptions(k.work, workflow.AwaitOptions{
		Timeout: d, TimerOptions: workflow.TimerOptions{Summary: "more reports"},
	}, func() bool { return k.signals.Len() > 0 }) // nothing ends its context
	return more
}
