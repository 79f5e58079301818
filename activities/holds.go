package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/sabotage"
	"volley/workflows/contract"
)

const (
	// probeFirst is how long after an account was held the first probe goes out; the time
	// between two doubles up to probeMax.
	probeFirst = time.Second
	probeMax   = time.Minute
	// notHeld is how long what this process did itself counts more than what it reads.
	notHeld = 10 * time.Second
	// waitMargin is how long before its end a wait for a release returns.
	waitMargin = 10 * time.Second
	// liveEvery is how often a wait for a release says that it lives. The SDK passes a few
	// of these on to the server.
	liveEvery = 10 * time.Second
	// maxChanges is how many changes may wait for being written.
	maxChanges = 256
)

// holds are what this process knows to be held. Every attempt passes them before its
// request, and those that wait for a turn hear of changes.
type holds struct {
	now func() time.Time
	// changes are those that this process makes, for whoever writes them down.
	changes chan contract.HoldChange

	mu   sync.Mutex
	list contract.Holds
	// own are accounts that this process has held itself and has not read of yet, released
	// those that it has released.
	own, released map[string]contract.Hold
	probes        map[string]*probe
	// changed is closed at the next change.
	changed chan struct{}
	waiting map[*waitingAttempt]struct{}
	// awaiting are batches that wait for an account that probes.
	awaiting map[*awaiting]struct{}
}

// probe is when an account that holds itself is tried next.
type probe struct {
	interval time.Duration
	next     time.Time
}

// waitingAttempt is one that ends its wait when it is held.
type waitingAttempt struct {
	facts contract.HoldFacts
	end   func()
}

// awaiting is a batch that waits for a release.
type awaiting struct {
	key      string
	priority int
	since    time.Time
}

func newHolds(now func() time.Time) *holds {
	return &holds{
		now: now, changes: make(chan contract.HoldChange, maxChanges), own: map[string]contract.Hold{}, released: map[string]contract.Hold{},
		probes: map[string]*probe{}, changed: make(chan struct{}), waiting: map[*waitingAttempt]struct{}{}, awaiting: map[*awaiting]struct{}{},
	}
}

// SetHolds tells what is held from now on. Nothing is before the first call.
func (a *Activities) SetHolds(list contract.Holds) {
	h := a.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = list
	for i := range list {
		delete(h.own, list[i].Key())
	}
	for key := range h.probes {
		_, own := h.own[key]
		if !own && !list.Has(key) {
			delete(h.probes, key)
		}
	}
	h.notify()
}

// HoldChanges are the changes that this process makes: accounts that hold themselves, and
// their release. Whoever reads them writes them down for all.
func (a *Activities) HoldChanges() <-chan contract.HoldChange { return a.holds.changes }

// notify tells all that wait that something has changed. The caller holds mu.
func (h *holds) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
	now := h.now()
	for w := range h.waiting {
		if h.find(w.facts, now) != nil {
			w.end()
		}
	}
}

// all are the holds that count now. The caller holds mu.
func (h *holds) all(now time.Time) (all contract.Holds) {
	for _, x := range h.list {
		if r, ok := h.released[x.Key()]; !x.Over(now.UnixMilli()) && (!ok || x.Since > r.Since && r.Since != 0 || now.UnixMilli() > r.Until) {
			all = append(all, x)
		}
	}
	for _, x := range h.own {
		if !x.Over(now.UnixMilli()) {
			all = append(all, x)
		}
	}
	return all
}

// find is what holds a message; nil is nothing. What probes can end comes last. The caller
// holds mu.
func (h *holds) find(f contract.HoldFacts, now time.Time) (found *contract.Hold) {
	if len(h.list) == 0 && len(h.own) == 0 || sabotage.Active(sabotage.Hold) {
		return nil
	}
	all := h.all(now)
	for i := range all {
		if all[i].Covers(f) && (found == nil || found.By == message.HeldByAccount) {
			found = &all[i]
		}
	}
	return found
}

// passes lets an attempt go on, or says what it is that holds it. A probe passes a hold
// that the account has put on itself.
func (h *holds) passes(f contract.HoldFacts, probes bool) *contract.SendResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.find(f, h.now())
	if x == nil || probes && x.By == message.HeldByAccount {
		return nil
	}
	return heldBack(x)
}

// heldBack is the outcome of a message that was held back.
func heldBack(x *contract.Hold) *contract.SendResult {
	return &contract.SendResult{Kind: contract.KindNotStarted, Code: message.CodeHeld, RetryAfter: probeMax.Milliseconds(), Held: x.Told()}
}

// watch calls end once a message is held, until what it returns is called.
func (h *holds) watch(f contract.HoldFacts, end func()) (unwatch func()) {
	w := &waitingAttempt{facts: f, end: end}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting[w] = struct{}{}
	if h.find(f, h.now()) != nil {
		end()
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting, w)
	}
}

// answered learns from the answer to a request, which began at a time, whether the
// account holds itself, and returns the hold if so; e is nil where it took the message.
func (h *holds) answered(account string, began time.Time, e *provider.Error) (none message.Holding) {
	switch {
	case e != nil && e.Account != "":
		return h.hold(account, e)
	case e == nil || e.Kind != provider.Unavailable && e.Kind != provider.Ambiguous:
		h.release(account, began)
	}
	return none
}

func ownHold(account string) contract.Hold {
	return contract.Hold{Selector: contract.Selector{Account: account}, By: message.HeldByAccount}
}

// hold holds an account here and now, and has it written down for all.
func (h *holds) hold(account string, e *provider.Error) message.Holding {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	x := ownHold(account)
	key := x.Key()
	for _, there := range h.all(now) {
		if there.Key() == key {
			return there.Told()
		}
	}
	x.Reason, x.Since = message.Clip(e.Account+": "+e.Code+": "+e.Detail, message.MaxDetail), now.UnixMilli()
	delete(h.released, key)
	h.own[key] = x
	h.probes[key] = &probe{interval: probeFirst, next: now.Add(probeFirst)}
	h.write(contract.HoldChange{V: message.Version, Hold: &x})
	h.notify()
	return x.Told()
}

// release ends a hold that an account has put on itself, after the answer to a request
// that left since then.
func (h *holds) release(account string, began time.Time) {
	own := ownHold(account)
	key := own.Key()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.own) == 0 && len(h.list) == 0 {
		return
	}
	now := h.now()
	for _, x := range h.all(now) {
		if x.Key() == key && x.Since <= began.UnixMilli() {
			x.Until = now.Add(notHeld).UnixMilli()
			h.released[key] = x
			delete(h.own, key)
			delete(h.probes, key)
			h.write(contract.HoldChange{V: message.Version, Release: []string{key}})
			h.notify()
			return
		}
	}
}

// write leaves a change to be written down. Should nobody take it, the account is held
// and released here alone. The caller holds mu.
func (h *holds) write(c contract.HoldChange) {
	select {
	case h.changes <- c:
	default:
	}
}

// AwaitRelease waits until what holds a batch's messages back is over, or until the batch
// may try whether it is. It returns with neither before its time is over, or when the
// worker stops.
func (a *Activities) AwaitRelease(ctx context.Context, in contract.AwaitReleaseInput) (contract.AwaitReleaseResult, error) {
	res := contract.AwaitReleaseResult{V: message.Version}
	info := activity.GetInfo(ctx)
	ctx, stop := a.starting(ctx, a.until(endsOf(ctx))-waitMargin)
	defer stop()
	if in.Held.By == message.HeldBySuppression {
		res.Released = a.awaitSuppressions(ctx)
		return res, nil
	}
	w := &awaiting{key: in.Held.Key, priority: contract.PriorityOf(info.Priority.PriorityKey), since: a.serverNow()}
	a.holds.mu.Lock()
	a.holds.awaiting[w] = struct{}{}
	a.holds.mu.Unlock()
	defer func() {
		a.holds.mu.Lock()
		defer a.holds.mu.Unlock()
		delete(a.holds.awaiting, w)
	}()
	for {
		released, probe, again, changed := a.holds.look(w)
		if released || probe {
			res.Released, res.Probe = released, probe
			return res, nil
		}
		activity.RecordHeartbeat(ctx)
		timer := time.NewTimer(min(again, liveEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return res, nil
		case <-timer.C:
		case <-changed:
			timer.Stop()
		}
	}
}

// look tells a batch that waits whether its hold is over, whether it may probe, and if
// neither when it shall look again.
func (h *holds) look(w *awaiting) (released, probes bool, again time.Duration, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	var held *contract.Hold
	for _, x := range h.all(now) {
		if x.Key() == w.key {
			held = &x
		}
	}
	switch {
	case held == nil:
		return true, false, 0, nil
	case held.By != message.HeldByAccount:
		again = probeMax
		if held.Until != 0 {
			again = min(again, max(time.UnixMilli(held.Until).Sub(now), time.Millisecond))
		}
		return false, false, again, h.changed
	}
	p := h.probes[w.key]
	if p == nil { // another process has held it
		p = &probe{interval: probeFirst, next: now.Add(probeFirst)}
		h.probes[w.key] = p
	}
	if wait := p.next.Sub(now); wait > 0 {
		return false, false, wait, h.changed
	}
	for other := range h.awaiting {
		if other.key == w.key && other.before(w) {
			return false, false, time.Second, h.changed // it looks in this moment as well
		}
	}
	p.interval = min(2*p.interval, probeMax)
	p.next = now.Add(p.interval)
	return false, true, 0, nil
}

// before reports whether a batch comes before another one: by priority, then by how long
// it waits.
func (w *awaiting) before(o *awaiting) bool {
	return w.priority < o.priority || w.priority == o.priority && w.since.Before(o.since)
}

// factsOf are what decides whether an attempt of an activity is held.
func factsOf(ctx context.Context, account string, metadata []byte) contract.HoldFacts {
	return contract.HoldFacts{
		Account: account, Tenant: batchRefOf(ctx).tenant, Priority: activity.GetInfo(ctx).Priority.PriorityKey, Metadata: metadata,
	}
}
