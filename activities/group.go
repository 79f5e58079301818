package activities

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/tracing"
	"volley/workflows/contract"
)

// groupRow is after how many answers in a row of an account that is not there a
// group starts nothing more. The workflow's breaker opens at as many.
const groupRow = 20

// SendGroup sends the messages of a group, in its order, each with what it would
// have as a first attempt of its own. What became of each is in the result; those
// that the group did not come to have KindNotStarted. It starts no further request
// once it is canceled, paused or held, after too many equal refusals, when the server does not know it any more, when
// the worker stops, when the account is unavailable, and when the time of the
// activity runs out; requests that have left are waited for.
//
// A message leaves only after the server has taken a heartbeat whose GroupProgress
// lets it: whatever happens to this process, the last heartbeat bounds what may
// have left.
func (a *Activities) SendGroup(ctx context.Context, in contract.GroupInput) (contract.GroupResult, error) {
	g := a.newGroup(ctx, in)
	g.run(ctx)
	if tracing.Active(ctx) {
		tracing.Set(ctx, tracing.Account.String(in.Account), tracing.Messages.Int(len(g.positions)))
	}
	rest := contract.SendResult{Kind: contract.KindNotStarted}
	if held := g.passes(g.facts, false); held != nil {
		rest = *held
	}
	for i := range g.outcomes {
		if g.outcomes[i].Kind == "" {
			g.settle(i, rest)
		}
	}
	return contract.GroupResult{V: message.Version, Outcomes: g.outcomes}, nil
}

// group is one run of SendGroup.
type group struct {
	*Activities
	in        contract.GroupInput
	positions []int
	limiter   *accountLimiter
	measure   measure
	sender    provider.Sender
	// noSender is the outcome of every message when there is no sender.
	noSender    *contract.SendResult
	ends        [2]time.Time
	heartbeater *heartbeater
	requests    pool
	// permitted is when it was last looked whether a message may leave.
	permitted time.Time
	// going ends with stop, from which on the group starts nothing more.
	going context.Context
	stop  context.CancelFunc
	// row counts the answers in a row of an account that is not there.
	row atomic.Int64
	// facts decide whether the group is held.
	facts contract.HoldFacts

	mu       sync.Mutex
	outcomes contract.Outcomes
	counters map[string]counter // of attempts, by kind
	// tried and refusals, by code, count what has ended for good.
	tried    int
	refusals map[string]int
}

func (a *Activities) newGroup(ctx context.Context, in contract.GroupInput) *group {
	g := &group{
		Activities: a, in: in, positions: in.Positions(), limiter: a.limiter(in.Account), measure: measureOf(ctx, in.Account),
		ends: endsOf(ctx), facts: factsOf(ctx, in.Account, nil), requests: newPool(), counters: map[string]counter{}, refusals: map[string]int{},
	}
	g.sender, g.noSender = a.sender(in.Account)
	g.outcomes = make(contract.Outcomes, len(g.positions))
	g.heartbeater = &heartbeater{
		group: g, token: activity.GetInfo(ctx).TaskToken, beatNow: make(chan struct{}, 1), acked: make(chan struct{}, 1),
	}
	return g
}

// run makes the requests, and returns when the last one has ended.
func (g *group) run(ctx context.Context) {
	g.going, g.stop = g.starting(ctx, g.until(g.ends)-requestLimit-margin)
	base := context.WithoutCancel(ctx)
	beating, rest := context.WithCancel(base)
	var others sync.WaitGroup
	others.Go(func() { g.heartbeater.run(beating) })
	g.dispatch(base, batchRefOf(ctx))
	Started(ctx)
	g.requests.Wait()
	g.stop()
	rest()
	others.Wait()
}

// dispatch starts the requests, one after the other; base is what they run in.
func (g *group) dispatch(base context.Context, from batchRef) {
	manifest, segment, fault := g.stored(g.going, g.in.Dir, g.in.Segment)
	if fault != nil {
		for i := range g.outcomes {
			g.settle(i, *fault)
		}
		return
	}
	g.facts.Metadata = manifest.Batch.Metadata
	defer g.holds.watch(g.facts, g.stop)()
	c := contents{group: &g.in, segment: segment, batch: &manifest.Batch, from: from}
	for i, pos := range g.positions {
		g.heartbeater.advance(i)
		m, fault := c.read(pos)
		if fault == nil {
			fault = g.noSender
		}
		if fault == nil && g.limit(m.ExpiresAt) <= 0 {
			fault = &contract.SendResult{Kind: contract.KindExpired}
		}
		switch {
		case g.going.Err() != nil:
			return
		case fault != nil:
			g.settle(i, *fault)
		case !g.waitTurn(i):
			return
		default:
			g.start(base, i, m)
		}
	}
	g.heartbeater.advance(len(g.positions))
}

// waitTurn waits until a message may leave, and has a turn at the account's limiter
// then. It is false when the group starts nothing more.
func (g *group) waitTurn(i int) bool {
	for g.heartbeater.awaitPermit(g.going, i) && g.limiter.acquire(g.going) == nil {
		// Waiting for the turn may have taken long, and so may the process have slept.
		g.permitted = g.now()
		over := g.going.Err() != nil || g.until(g.ends) < requestLimit+margin
		if !over && g.heartbeater.permits(i) {
			return true
		}
		g.limiter.release()
		if over {
			return false
		}
	}
	return false
}

// start makes a request beside the others, or none where the message's validity
// ended while it waited.
func (g *group) start(base context.Context, i int, m message.Outgoing) {
	limit, none := g.limit(m.ExpiresAt), g.barred(g.facts.Tenant, &m)
	if limit <= 0 {
		none = &contract.SendResult{Kind: contract.KindExpired}
	}
	if none != nil {
		g.limiter.release()
		g.settle(i, *none)
		if none.Held.By != "" {
			g.stop()
		}
		return
	}
	by := g.permitted.Add(limit)
	base, span := g.attemptSpan(base, i, &m)
	g.requests.Go(func() {
		defer g.limiter.release()
		defer tracing.End(span)
		g.measure.first(&m, g.serverNow())
		res := g.request(base, g.in.Account, g.sender, m, by, g.measure)
		if span.IsRecording() {
			span.SetAttributes(tracing.Outcome.String(res.Kind))
		}
		g.limiter.countAnswer(g.now())
		if res.Kind != string(provider.Unavailable) {
			g.row.Store(0)
		}
		g.settle(i, res)
	})
}

// tracedOfGroup is how many attempts of a group have spans: the first ones. A thousand more
// tell nothing that the group's own span does not.
const tracedOfGroup = 20

// attemptSpan begins the span of an attempt in a group, where it has one.
func (g *group) attemptSpan(base context.Context, i int, m *message.Outgoing) (context.Context, trace.Span) {
	if i >= tracedOfGroup {
		base = tracing.Quiet(base)
	}
	ctx, span := tracing.Start(base, "attempt")
	if span.IsRecording() {
		span.SetAttributes(tracing.Account.String(g.in.Account), tracing.Index.Int(m.Index), tracing.Attempt.Int(1))
	}
	return ctx, span
}

// settle notes what became of a message.
func (g *group) settle(i int, res contract.SendResult) {
	res.V, res.At = message.Version, g.serverNow().UnixMilli()
	g.mu.Lock()
	g.outcomes[i] = res
	attempts := g.counters[res.Kind]
	if attempts == nil {
		attempts = g.measure.attempts(res.Kind)
		g.counters[res.Kind] = attempts
	}
	tooMany := g.countEnd(res)
	g.mu.Unlock()
	attempts.Inc(1)
	if tooMany && g.in.Guard {
		g.stop()
	}
	if res.Kind == string(provider.Unavailable) && g.row.Add(1) >= groupRow {
		g.stop()
	}
}

// countEnd counts a message that has ended for good, and reports whether too many were
// refused alike. The caller holds mu.
func (g *group) countEnd(res contract.SendResult) (tooMany bool) {
	switch provider.Kind(res.Kind) {
	case provider.Kind(contract.KindSent):
		g.tried++
	case provider.Invalid, provider.Rejected, provider.Unauthorized:
		if res.Held.By != "" || res.Suppressed() {
			return false
		}
		g.tried++
		g.refusals[res.Code]++
		return contract.TooManyRefusals(g.refusals[res.Code], g.tried)
	}
	return false
}

// known is what is known of the outcomes by now.
func (g *group) known() contract.Outcomes {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.outcomes)
}

// contents fills in the messages of a group.
type contents struct {
	group   *contract.GroupInput
	segment *store.Segment
	batch   *message.Batch // the manifest's
	from    batchRef
}

func (c *contents) read(pos int) (message.Outgoing, *contract.SendResult) {
	index, m, err := c.segment.Message(pos)
	if err != nil {
		return message.Outgoing{}, missingContent("the message is damaged in the store")
	}
	b := c.batch
	due := b.DueAt(&m)
	if c.group.Due != 0 {
		due = c.group.Due
	}
	hops := b.HopsOf(&m)
	hop := slices.IndexFunc(hops, func(h message.Hop) bool { return h.Account == c.group.Account })
	if hop < 0 {
		return message.Outgoing{}, missingContent("the store has another way for the message than its account")
	}
	in := contract.SendInput{
		Dialect: b.Dialect, Index: index, Channels: hops[hop].Channels, Due: due, Expires: due + b.Validity(&m),
		Template: b.Template, Message: m, Metadata: b.Metadata, Region: b.Region,
	}
	return outgoing(&in, c.from)
}
