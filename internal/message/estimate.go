package message

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Estimate says what a batch will take.
type Estimate struct {
	// Messages are those that may go out, rejected ones left out.
	Messages int `json:"messages"`
	// Segments is 0 for a batch that runs without the store.
	Segments int `json:"segments"`
	// Actions is about how many actions Temporal Cloud would count, and Dollars what
	// they would cost. Retries are not among them.
	Actions int     `json:"actions"`
	Dollars float64 `json:"dollars"`
	// EndsAt is when the last message leaves, as far as due times and the accounts'
	// rates tell; nil when there is no message.
	EndsAt *time.Time `json:"endsAt"`
	// Expiring is about how many messages expire before their turn.
	Expiring int `json:"expiring"`
	// Dispatch is how the messages leave, and Other what the other way would take; that
	// is nil for a batch that runs without the store.
	Dispatch string    `json:"dispatch"`
	Other    *Dispatch `json:"other"`
}

// Dispatch is what a way to dispatch a batch would take.
type Dispatch struct {
	Dispatch string  `json:"dispatch"`
	Actions  int     `json:"actions"`
	Dollars  float64 `json:"dollars"`
}

// Estimator gathers what an Estimate is made of, in constant memory. It is not
// safe for concurrent use.
type Estimator struct {
	rates  map[string]float64
	price  float64
	now    int64
	queues map[string]*arrivals
	n      int
}

// NewEstimator returns an Estimator for a batch that begins at now. rates are
// messages a second by account; one that is not there, or has 0, has no limit.
// pricePerMillion is what a million actions cost, in dollars.
func NewEstimator(rates map[string]float64, pricePerMillion float64, now time.Time) *Estimator {
	return &Estimator{rates: rates, price: pricePerMillion, now: now.UnixMilli(), queues: map[string]*arrivals{}}
}

// Add takes in a message that is not rejected: the account of its first hop, its
// due time and the end of its validity, both in Unix ms.
func (e *Estimator) Add(account string, due, expires int64) {
	q := e.queues[account]
	if q == nil {
		q = &arrivals{width: firstWidth, waiting: map[bucket]int{}}
		e.queues[account] = q
	}
	due = max(due, e.now)
	q.add(due-e.now, expires-due)
	e.n++
}

// Estimate estimates the batch of the messages that were added. segments is 0 for
// one that runs without the store; dispatch is "message", also when empty, or "group".
func (e *Estimator) Estimate(segments int, dispatch string) Estimate {
	chosen := e.dispatch(segments, cmp.Or(dispatch, DispatchMessage))
	out := Estimate{Messages: e.n, Segments: segments, Dispatch: chosen.Dispatch, Actions: chosen.Actions, Dollars: chosen.Dollars}
	if segments > 0 {
		other := e.dispatch(segments, DispatchGroup)
		if chosen.Dispatch == DispatchGroup {
			other = e.dispatch(segments, DispatchMessage)
		}
		out.Other = &other
	}
	if e.n == 0 {
		return out
	}
	end := int64(0)
	for _, account := range slices.Sorted(maps.Keys(e.queues)) {
		last, expiring := e.queues[account].simulate(e.rates[account])
		end = max(end, last)
		out.Expiring += expiring
	}
	out.EndsAt = At(e.now + end)
	return out
}

// dispatch is what a way to dispatch would take.
func (e *Estimator) dispatch(segments int, way string) Dispatch {
	actions := smallActions + e.n
	switch {
	case segments > 0 && way == DispatchGroup:
		actions = largeActions + segmentActions*segments
		for account, q := range e.queues {
			actions += groupActions(q.n, segments, GroupSize(e.rates[account]))
		}
	case segments > 0:
		actions = largeActions + segmentActions*segments + e.n
	}
	return Dispatch{Dispatch: way, Actions: actions, Dollars: float64(actions) * e.price / 1e6}
}

// Actions of Temporal Cloud that do not depend on how many messages there are. With
// n messages of which none is tried twice a batch takes about
//
//	small:                 2 + n
//	large, by message:     5 + 5 × segments + n
//	large, in groups:      5 + 5 × segments + groups + heartbeats
//
// Timers, questions, controls and retries come on top.
const (
	// smallActions: the start, and one change of the search attributes.
	smallActions = 2
	// largeActions: the start, Open and Close, two changes of the search attributes.
	largeActions = 5
	// segmentActions: a child workflow counts twice; Load, Keep and one report.
	segmentActions = 5
	// beatMessages is for how many messages a group makes a heartbeat.
	beatMessages = 100
)

// groupActions counts the actions of groups that send n messages of one account,
// heartbeats included. The messages are spread over segments, and a group has at most
// size of them.
func groupActions(n, segments, size int) int {
	each := (n + segments - 1) / segments
	size = max(min(size, each), 1)
	groups := segments * ((each + size - 1) / size)
	return groups * (1 + (size+beatMessages-1)/beatMessages)
}

// Groups.
const (
	// LargestGroup is how many messages one group has at most.
	LargestGroup = 1000
	// groupSpan is how long a group may take at the account's rate; with several
	// workers it takes as many times longer. A short span spreads groups more evenly
	// and lets a small batch start sooner behind a large one.
	groupSpan = 500 * time.Millisecond
)

// GroupSize is the most messages in one group of an account that may send rate messages
// a second; 0 is no limit.
func GroupSize(rate float64) int {
	if rate <= 0 {
		return LargestGroup
	}
	return int(max(1, min(LargestGroup, rate*groupSpan.Seconds())))
}

// Bounds of what an Estimator holds for an account.
const (
	firstWidth = int64(1000) // ms
	maxBuckets = 4096
	// maxTTLs is from how many validities on they are rounded, to keptBits bits.
	maxTTLs  = 64
	keptBits = 6
)

// arrivals counts the messages of one account by due time and validity. Due times are
// in ms from the batch's beginning, in steps of width, which grows as needed.
type arrivals struct {
	width   int64
	rough   bool // validities are rounded
	waiting map[bucket]int
	n       int
	last    int64
}

type bucket struct{ step, ttl int64 }

func (q *arrivals) add(due, ttl int64) {
	q.last = max(q.last, due)
	q.n++
	q.waiting[bucket{due / q.width, q.round(ttl)}]++
	for len(q.waiting) > maxBuckets {
		q.coarsen()
	}
}

func (q *arrivals) round(ttl int64) int64 {
	if !q.rough || ttl <= 0 {
		return max(ttl, 0)
	}
	shift := max(bits.Len64(uint64(ttl))-keptBits, 0)
	return ttl >> shift << shift
}

// coarsen halves how finely due times are told apart, or rounds validities when
// there are many.
func (q *arrivals) coarsen() {
	ttls := map[int64]bool{}
	for t := range q.waiting {
		ttls[t.ttl] = true
	}
	by := int64(1)
	if !q.rough && len(ttls) > maxTTLs {
		q.rough = true
	} else {
		by = 2
	}
	q.width *= by
	old := q.waiting
	q.waiting = make(map[bucket]int, len(old))
	for t, n := range old {
		q.waiting[bucket{t.step / by, q.round(t.ttl)}] += n
	}
}

// simulate sends the messages in the order of their due times at the given rate. It
// returns when the last one leaves, in ms from the beginning, and how many expire
// before they can. Messages due in the same step share the rate evenly.
func (q *arrivals) simulate(rate float64) (end int64, expiring int) {
	order := slices.SortedFunc(maps.Keys(q.waiting), func(a, b bucket) int {
		return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(a.ttl, b.ttl))
	})
	free, last := 0.0, float64(q.last)
	for len(order) > 0 {
		k := 1
		for k < len(order) && order[k].step == order[0].step {
			k++
		}
		due := float64(order[0].step * q.width)
		start, n := max(free, due), 0
		for _, t := range order[:k] {
			n += q.waiting[t]
		}
		took := 0.0
		if rate > 0 {
			took = float64(n) / rate * 1000
		}
		for _, t := range order[:k] {
			lost := expired(q.waiting[t], start, took, due+float64(t.ttl))
			expiring += lost
			n -= lost
		}
		if rate > 0 && n > 0 {
			free = start + float64(n)/rate*1000
		}
		order = order[k:]
	}
	return int64(math.Ceil(max(free, last))), expiring
}

// expired returns how many of n messages expire before they are sent, when sending them
// takes the given time from start and is spread evenly over it.
func expired(n int, start, took, expires float64) int {
	switch {
	case expires <= start:
		return n
	case expires >= start+took:
		return 0
	}
	return int(math.Round(float64(n) * (start + took - expires) / took))
}
