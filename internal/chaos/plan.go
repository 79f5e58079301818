package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Dispatches of a run.
const (
	dispatchBoth    = "both"
	dispatchMessage = "message"
	dispatchGroup   = "group"
)

// Roles of the accounts of a run.
const (
	roleAsked  = "asked"
	roleBlind  = "blind"
	roleResend = "resend"
	roleHeld   = "held"
)

// Controls of a batch.
const (
	controlNone       = "none"
	controlCancel     = "cancel"
	controlCancelSome = "cancel some"
	controlPause      = "pause"
	controlReschedule = "reschedule"
	controlTerminate  = "terminate"
)

// Faults of the surroundings.
const (
	faultKill          = "kill worker"
	faultFreeze        = "stop and continue worker"
	faultCutTemporal   = "cut worker from temporal"
	faultSlowTemporal  = "slow worker to temporal"
	faultCutProvider   = "cut worker from provider"
	faultSlowProvider  = "slow worker to provider"
	faultStore         = "store away"
	faultCutStore      = "cut worker from store"
	faultSlowStore     = "slow worker to store"
	faultRestartServer = "restart server"
)

const (
	workers = 2
	// inline is up to how many messages a batch runs without the store.
	inline = 200
	// smallest is how many messages a batch has at least.
	smallest = 10
	// validity is that of most messages, hurry that of batches in which it may run out.
	validity = 15 * time.Minute
	hurry    = 25 * time.Second
	// plannedFaults is how many faults are drawn; no run comes to the last one.
	plannedFaults = 2_000
)

// plan is all that a seed decides.
type plan struct {
	batches []batchPlan
	// processes and links are faults that come one after the other, and beside each other.
	processes, links []faultPlan
	// holds are when the account for it is held, and for how long.
	holds []holdPlan
}

type batchPlan struct {
	name, role, dispatch string
	messages             int
	// start is when it is started, due when its messages are due after that, and spread
	// over how long they are.
	start, due, spread time.Duration
	validity           time.Duration
	control            string
	// at is when the control comes after the start, for how long a pause lasts, and by how
	// much a reschedule moves.
	at, pause time.Duration
	redrive   bool
	// draw decides which messages a control names.
	draw uint64
}

type faultPlan struct {
	kind   string
	worker int
	// after is the wait since the fault before, lasts how long the fault lasts.
	after, lasts time.Duration
}

type holdPlan struct{ at, lasts time.Duration }

// newPlan draws a plan. It is the same for the same options.
func newPlan(o *Options) *plan {
	p := &plan{}
	p.drawBatches(rand.New(rand.NewPCG(o.Seed, 1)), o)
	p.processes = drawFaults(rand.New(rand.NewPCG(o.Seed, 2)), o, processFaults(o))
	p.links = drawFaults(rand.New(rand.NewPCG(o.Seed, 3)), o, linkFaults(o))
	r := rand.New(rand.NewPCG(o.Seed, 4))
	for at := between(r, 4*time.Second, 9*time.Second); len(p.holds) < 3; at += between(r, 20*time.Second, 30*time.Second) {
		p.holds = append(p.holds, holdPlan{at: at, lasts: between(r, 5*time.Second, 8*time.Second)})
	}
	return p
}

// drawBatches divides the messages: one large batch, one that is terminated, and smaller
// ones.
func (p *plan) drawBatches(r *rand.Rand, o *Options) {
	left := o.Messages
	add := func(n int, change func(*batchPlan)) {
		n = min(max(n, smallest), left)
		if left-n < smallest {
			n = left
		}
		if n == 0 {
			return
		}
		left -= n
		b := drawBatch(r, o, len(p.batches), n)
		if change != nil {
			change(&b)
		}
		p.batches = append(p.batches, b)
	}
	add(o.Messages*30/100, func(b *batchPlan) {
		b.control, b.start, b.due, b.spread, b.validity, b.role = controlNone, 0, 0, 0, validity, roleAsked
		if o.Dispatch == dispatchBoth {
			b.dispatch = dispatchGroup
		}
	})
	add(o.Messages*10/100, func(b *batchPlan) {
		b.control, b.start, b.validity, b.at = controlTerminate, 0, validity, between(r, 2*time.Second, 6*time.Second)
	})
	add(o.Messages*10/100, func(b *batchPlan) {
		b.role, b.control, b.start, b.due, b.validity = roleHeld, controlNone, 0, 0, validity
		b.spread = 30 * time.Second // some are due while the account is held
	})
	for left > 0 {
		add(smallest+r.IntN(max(o.Messages/25, 2*smallest)), nil)
	}
}

// controls are those of smaller batches, of which each run of some size has all.
var controls = []string{controlCancel, controlPause, controlCancelSome, controlReschedule, controlNone, controlNone}

func drawBatch(r *rand.Rand, o *Options, number, n int) batchPlan {
	b := batchPlan{
		name: fmt.Sprintf("b%d", number), messages: n, validity: validity, draw: r.Uint64(),
		role:     pick(r, roleAsked, roleAsked, roleAsked, roleBlind, roleResend, roleHeld),
		dispatch: o.Dispatch, start: between(r, 0, 6*time.Second),
		control: controls[number%len(controls)],
		at:      between(r, 2*time.Second, 15*time.Second), pause: between(r, 3*time.Second, 7*time.Second),
		redrive: r.IntN(3) == 0,
	}
	if b.dispatch == dispatchBoth {
		b.dispatch = pick(r, dispatchMessage, dispatchGroup)
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		b.due = between(r, 3*time.Second, 15*time.Second)
	case 3, 4:
		b.spread = between(r, 5*time.Second, 20*time.Second)
	}
	if r.IntN(6) == 0 {
		b.validity = hurry
	}
	switch b.control {
	case controlReschedule:
		b.due, b.spread = between(r, 10*time.Second, 15*time.Second), 0
		b.at = between(r, 2*time.Second, 8*time.Second)
	case controlCancel, controlCancelSome, controlPause: // it comes while messages leave
		b.due, b.spread = 0, between(r, 15*time.Second, 25*time.Second)
		b.at = between(r, 2*time.Second, 10*time.Second)
	}
	return b
}

// due is when a message of the batch may leave.
func (b *batchPlan) dueOf(i int, started time.Time) time.Time {
	at := started.Add(b.due)
	if b.spread > 0 {
		at = at.Add(b.spread * time.Duration(i) / time.Duration(b.messages))
	}
	return at.Truncate(time.Millisecond)
}

func processFaults(o *Options) []string {
	kinds := []string{faultKill, faultKill}
	if canStop {
		kinds = append(kinds, faultFreeze, faultFreeze)
	}
	if o.RestartServer != nil {
		kinds = append(kinds, faultRestartServer)
	}
	return kinds
}

func linkFaults(o *Options) []string {
	kinds := []string{faultCutTemporal, faultSlowTemporal, faultCutProvider, faultCutProvider, faultSlowProvider}
	if o.storeDir() != "" {
		kinds = append(kinds, faultStore)
	}
	if o.storeEndpoint() != nil {
		kinds = append(kinds, faultCutStore, faultCutStore, faultSlowStore, faultSlowStore)
	}
	return kinds
}

// drawFaults draws faults of these kinds; the more requests fail, the closer they come.
func drawFaults(r *rand.Rand, o *Options, kinds []string) (all []faultPlan) {
	if o.Faults <= 0 {
		return nil
	}
	mean := time.Duration(float64(300*time.Millisecond) / o.Faults)
	for range plannedFaults {
		f := faultPlan{kind: pick(r, kinds...), worker: r.IntN(workers), after: between(r, mean/2, 3*mean/2)}
		switch f.kind {
		case faultKill:
			f.lasts = between(r, 0, time.Second)
		case faultFreeze:
			f.lasts = between(r, 500*time.Millisecond, 8*time.Second)
		case faultCutTemporal: // a group without heartbeats is given up after five seconds
			f.lasts = between(r, 200*time.Millisecond, 9*time.Second)
		case faultSlowTemporal, faultSlowProvider, faultSlowStore:
			f.lasts = between(r, time.Second, 3*time.Second)
		default:
			f.lasts = between(r, 200*time.Millisecond, 2*time.Second)
		}
		all = append(all, f)
	}
	return all
}

// chosen are the messages that a control names: about a tenth, at most 100.
func (b *batchPlan) chosen() (all []int) {
	r := rand.New(rand.NewPCG(b.draw, 1))
	n := min(max(b.messages/10, 1), 100)
	all = r.Perm(b.messages)[:n]
	slices.Sort(all)
	return all
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(r.Int64N(int64(most-least)))
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }
