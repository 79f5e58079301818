package workflows

import (
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
)

// KeepReportsInput is what KeepReports runs. It is started by the first of its
// signals of the name SignalReports, which bring Reports.
type KeepReportsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch string `json:"batch"`
	// Waiting are reports that the run before could not get rid of.
	Waiting []WaitingReport `json:"waiting,omitempty"`
}

// WaitingReport is one that nobody could take yet. Times are Unix ms.
type WaitingReport struct {
	message.Report
	Since int64 `json:"since"`
	Next  int64 `json:"next"`
}

// Times and bounds of keeping reports.
const (
	// keepGather is how long more reports are waited for before the workflow ends.
	keepGather = time.Second
	// keepFirst and keepMax bound the wait before a report is tried again, in ms,
	// which grows with its age, and keepPatience how old one may become.
	keepFirst    = int64(1_000)
	keepMax      = int64(5 * 60_000)
	keepPatience = 24 * time.Hour
	keepToClose  = 2 * time.Minute
	// keepCarried is how many reports the next run may be given.
	keepCarried = 2_000
)

// ReportsID is the id of the workflow that keeps what came too late for a batch,
// whose own workflow's id is given.
func ReportsID(batch string) string { return batch + "~reports" }

// keeper brings reports to whoever has their messages, one call at a time.
type keeper struct {
	work    workflow.Context
	batch   string
	signals workflow.ReceiveChannel
	fresh   []WaitingReport
	waiting []WaitingReport
}

// KeepReports takes the delivery reports of one batch that its workflow cannot take:
// it has ended, or is a large one, whose segments may have ended. It is the only one
// that writes the batch's late reports, and ends when no more come.
func KeepReports(ctx workflow.Context, in KeepReportsInput) error {
	if in.V != message.Version || in.Batch == "" {
		return errNoBatch
	}
	// Nobody repeats a report because somebody canceled this.
	work, _ := workflow.NewDisconnectedContext(ctx)
	k := &keeper{work: work, batch: in.Batch, signals: workflow.GetSignalChannel(ctx, SignalReports), waiting: in.Waiting}
	for {
		k.receive()
		if some := k.next(); len(some) > 0 {
			k.route(some)
			continue
		}
		if info := workflow.GetInfo(ctx); info.GetCurrentHistoryLength() >= maxEvents && len(k.waiting) <= keepCarried {
			return workflow.NewContinueAsNewError(ctx, KeepReportsName, KeepReportsInput{V: message.Version, Batch: k.batch, Waiting: k.waiting})
		}
		if more := k.wait(); !more && len(k.waiting) == 0 {
			return nil
		}
	}
}

func (k *keeper) now() int64 { return workflow.Now(k.work).UnixMilli() }

// receive takes the reports of all signals that are there.
func (k *keeper) receive() {
	for {
		var raw converter.RawValue
		if !k.signals.ReceiveAsync(&raw) {
			return
		}
		k.add(raw)
	}
}

// add takes the reports of one signal. One that makes no sense is only logged.
func (k *keeper) add(raw converter.RawValue) {
	var q Reports
	if raw.Payload() == nil || converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &q) != nil || q.V != message.Version {
		workflow.GetLogger(k.work).Warn("a signal was ignored", "signal", SignalReports)
		return
	}
	now := k.now()
	for _, p := range q.Reports {
		k.fresh = append(k.fresh, WaitingReport{Report: p.Bounded(), Since: now, Next: now})
	}
}

// next takes the reports to bring now, as many as one call may have.
func (k *keeper) next() []WaitingReport {
	n := min(len(k.fresh), message.MaxReports)
	some := append([]WaitingReport(nil), k.fresh[:n]...)
	k.fresh = k.fresh[n:]
	now := k.now()
	var rest []WaitingReport
	for _, w := range k.waiting {
		if w.Next <= now && len(some) < message.MaxReports {
			some = append(some, w)
		} else {
			rest = append(rest, w)
		}
	}
	k.waiting = rest
	return some
}

// route brings reports to where they belong, and keeps those that nobody can take.
func (k *keeper) route(some []WaitingReport) {
	in := activities.ReportsInput{V: message.Version, Batch: k.batch, Reports: make([]message.Report, len(some))}
	for i := range some {
		in.Reports[i] = some[i].Report
	}
	ctx := workflow.WithActivityOptions(k.work, workflow.ActivityOptions{
		StartToCloseTimeout:    keepToClose,
		ScheduleToCloseTimeout: keepPatience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: storeRetry},
	})
	var res activities.ReportsResult
	log := workflow.GetLogger(k.work)
	if err := workflow.ExecuteActivity(ctx, RouteName, in).Get(ctx, &res); err != nil {
		log.Error("reports were given up", "count", len(some), "error", err)
		return
	}
	now := k.now()
	for _, i := range res.Later {
		if i < 0 || i >= len(some) {
			continue
		}
		w := some[i]
		age := now - w.Since
		if age >= keepPatience.Milliseconds() {
			log.Warn("a report was given up that nobody could take")
			continue
		}
		w.Next = now + min(max(age, keepFirst), keepMax)
		k.waiting = append(k.waiting, w)
	}
}

// wait waits for the next signal, or until a report is to be tried again, or, where
// none is, for a while; it reports whether a signal came.
func (k *keeper) wait() (more bool) {
	d := keepGather
	for i, w := range k.waiting {
		if left := time.Duration(max(w.Next-k.now(), 1)) * time.Millisecond; i == 0 || left < d {
			d = left
		}
	}
	ctx, cancel := workflow.WithCancel(k.work)
	timer := workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: "more reports"})
	sel := workflow.NewSelector(k.work)
	sel.AddReceive(k.signals, func(c workflow.ReceiveChannel, _ bool) {
		var raw converter.RawValue
		c.Receive(k.work, &raw)
		k.add(raw)
		more = true
	})
	sel.AddFuture(timer, func(workflow.Future) {})
	sel.Select(k.work)
	cancel()
	if !more {
		before := len(k.fresh)
		k.receive()
		more = len(k.fresh) > before
	}
	return more
}
