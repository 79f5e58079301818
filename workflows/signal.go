package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// signal is one name of signals: listen does what comes from now on, drain what
// is there, and reports whether there was anything.
type signal struct {
	listen func()
	drain  func() bool
}

// signals do at once what the updates of the same names do, and answer nobody.
// Those that arrive together have lost the order between their names; the last
// here wins, so a pause beats a resume and a cancel beats all.
//
// A segment only listens to its batch, and to reports.
func (r *run) signals() []signal {
	if r.seg != nil {
		return []signal{on(r, SignalReports, r.heard), on(r, signalOrder, r.obey)}
	}
	return []signal{
		on(r, SignalReports, r.heard),
		on(r, ControlResume, func(nothing) { r.resume() }),
		on(r, ControlReschedule, func(q message.RescheduleRequest) { r.reschedule(q) }),
		on(r, ControlPause, func(nothing) { r.pause() }),
		on(r, ControlCancel, func(q message.CancelRequest) {
			targets, _ := r.targets(q.Messages)
			r.stop(targets, q)
		}),
	}
}

func on[Q any](r *run, name string, do func(Q)) signal {
	ch := workflow.GetSignalChannel(r.root, name)
	take := func(raw converter.RawValue) {
		if q, ok := read[Q](r, name, raw); ok {
			do(q)
		}
		r.poke()
	}
	return signal{
		listen: func() {
			workflow.Go(r.work, func(ctx workflow.Context) {
				for {
					var raw converter.RawValue
					ch.Receive(ctx, &raw)
					take(raw)
				}
			})
		},
		drain: func() (any bool) {
			var raw converter.RawValue
			for ; ch.ReceiveAsync(&raw); raw = (converter.RawValue{}) {
				take(raw)
				any = true
			}
			return any
		},
	}
}

// read decodes a signal's argument; none is the zero value. A signal has nobody to
// answer, so one that makes no sense is only logged.
func read[Q any](r *run, name string, raw converter.RawValue) (q Q, ok bool) {
	if raw.Payload() == nil {
		return q, true
	}
	if err := converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &q); err != nil {
		workflow.GetLogger(r.root).Warn("a signal was ignored", "signal", name, "error", err)
		return q, false
	}
	return q, true
}

// drainSignals does what signals still in their channels ask for, and reports
// whether there was one.
func (r *run) drainSignals() bool {
	found := false
	for _, s := range r.signals() {
		found = s.drain() || found
	}
	return found
}
