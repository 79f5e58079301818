package chaos

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"volley/starter"
)

const (
	// obeyed is how long workers may take to obey a hold.
	obeyed = 2 * time.Second
	// heldQuietly is how long nothing else is disturbed once they have to.
	heldQuietly = time.Second
	// roused is how long workers have that were disturbed before an account is held.
	roused = 3 * time.Second
)

// disturb makes faults one after the other until the run is calm. quiet keeps it from
// making any.
func (r *run) disturb(quiet *sync.Mutex, faults []faultPlan) {
	for _, f := range faults {
		if !r.sleep(r.calm, f.after) {
			return
		}
		quiet.Lock()
		if r.calm.Err() == nil {
			r.fault(f)
		}
		quiet.Unlock()
	}
}

// fault makes one fault, and returns when it is over.
func (r *run) fault(f faultPlan) {
	r.count(r.faults, f.kind)
	s := r.slots[f.worker]
	switch f.kind {
	case faultKill:
		s.process.kill(f.lasts)
	case faultFreeze:
		s.process.freeze(f.lasts)
	case faultCutTemporal:
		cut(s.temporal, f.lasts)
	case faultCutProvider:
		cut(s.provider, f.lasts)
	case faultSlowTemporal:
		slow(s.temporal, f.lasts)
	case faultSlowProvider:
		slow(s.provider, f.lasts)
	case faultCutStore:
		cut(s.store, f.lasts)
	case faultSlowStore:
		slow(s.store, f.lasts)
	case faultStore:
		r.takeStore(f.lasts)
	case faultRestartServer:
		if err := r.o.RestartServer(r.calm); err != nil && r.calm.Err() == nil {
			r.o.Say("the server was not restarted: %v", err)
		}
	}
}

func cut(p *proxy, d time.Duration) {
	p.cut()
	time.Sleep(d)
	p.mend()
}

// slow delays what passes by a part of the fault's time.
func slow(p *proxy, d time.Duration) {
	p.slow(d / 6)
	time.Sleep(d)
	p.mend()
}

// takeStore takes the run's folder of a file:// store away for a time.
func (r *run) takeStore(d time.Duration) {
	r.away.Lock()
	defer r.away.Unlock()
	dir := r.ownStore()
	if os.Rename(dir, dir+".away") != nil {
		return // nothing is in it yet
	}
	time.Sleep(d)
	if err := putBack(dir); err != nil {
		r.o.Say("the store's folder %s could not be put back: %v", dir, err)
	}
}

// putBack puts a folder back where it was, as a mount does: what was written to its place
// meanwhile is not seen any more.
func putBack(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			err = os.Rename(dir+".away", dir)
		}
		if err == nil {
			return nil
		}
		time.Sleep(time.Millisecond) // somebody is writing there
	}
	return err
}

// hold holds an account again and again, and lets it go.
func (r *run) hold(ctx context.Context) {
	began := time.Now()
	for _, h := range r.plan.holds {
		if !r.sleep(r.calm, h.at-time.Since(began)) {
			return
		}
		w, ok := r.holdQuietly(ctx)
		if !ok {
			continue
		}
		r.sleep(r.calm, h.lasts)
		w.Until = time.Now()
		r.release(ctx, w.Account)
		r.mu.Lock()
		r.holds = append(r.holds, w)
		r.mu.Unlock()
		r.count(r.controls, "hold")
	}
}

// holdQuietly holds an account while nothing else is disturbed, so that every worker can
// hear of it in time.
func (r *run) holdQuietly(ctx context.Context) (HoldWindow, bool) {
	for i := range r.quiet {
		r.quiet[i].Lock()
		defer r.quiet[i].Unlock()
	}
	w := HoldWindow{Account: r.account(roleHeld)}
	r.sleep(r.calm, roused)
	cctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	_, err := r.cluster.Batches.Hold(cctx, starter.HoldRequest{Selector: starter.Selector{Account: w.Account}, Reason: "chaos"})
	if err != nil {
		r.o.Say("hold: %v", err)
		r.release(ctx, w.Account) // it may be held
		return w, false
	}
	w.From = time.Now().Add(obeyed)
	r.sleep(r.calm, obeyed+heldQuietly)
	return w, true
}

// release lets an account go, however often that takes.
func (r *run) release(ctx context.Context, account string) {
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, callWait)
		_, err := r.cluster.Batches.Release(cctx, starter.ReleaseRequest{Selector: starter.Selector{Account: account}})
		cancel()
		if err == nil || errors.Is(err, starter.ErrNotFound) {
			return
		}
		r.sleep(ctx, time.Second)
	}
}

// sleep waits; it is false where ctx ended before.
func (r *run) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
