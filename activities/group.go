package activities

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
)

// groupRow is after how many answers in a row of an account that is not there a
// group starts nothing more. The workflow's breaker opens at as many.
const groupRow = 20

// SendGroup sends the messages of a group, in its order, each with what it would
// have as a first attempt of its own. What became of each is in the result; those
// that the group did not come to have KindNotStarted. It starts no further request
// once it is canceled or paused, when the server does not know it any more, when
// the worker stops, when the account is unavailable, and when the time of the
// activity runs out; requests that have left are waited for.
//
// A message leaves only after the server has taken a heartbeat whose GroupProgress
// lets it: whatever happens to this process, the last heartbeat bounds what may
// have left.
func (a *Activities) SendGroup(ctx context.Context, in GroupInput) (GroupResult, error) {
	g := a.newGroup(ctx, in)
	g.run(ctx)
	for i := range g.outcomes {
		if g.outcomes[i].Kind == "" {
			g.settle(i, SendResult{Kind: KindNotStarted})
		}
	}
	return GroupResult{V: message.Version, Outcomes: g.outcomes}, nil
}

// group is one run of SendGroup.
type group struct {
	*Activities
	in        GroupInput
	positions []int
	gate      *gate
	measure   *measure
	sender    provider.Sender
	// noSender is the outcome of every message when there is no sender.
	noSender *SendResult
	ends     [2]time.Time
	pulse    *pulse
	jobs     chan job
	workers  sync.WaitGroup

	mu       sync.Mutex
	outcomes Outcomes
	// row counts the answers in a row of an account that is not there.
	row int
	// stop makes the group start nothing more.
	stop context.CancelFunc
}

// job is one request.
type job struct {
	i     int
	m     message.Outgoing
	limit time.Duration
}

func (a *Activities) newGroup(ctx context.Context, in GroupInput) *group {
	g := &group{
		Activities: a, in: in, positions: in.Positions(), gate: a.gate(in.Account), measure: measureOf(ctx, in.Account),
		ends: endsOf(ctx), jobs: make(chan job),
	}
	g.sender, g.noSender = a.sender(in.Account)
	g.outcomes = make(Outcomes, len(g.positions))
	g.pulse = newPulse(g, activity.GetInfo(ctx).TaskToken)
	return g
}

// run makes the requests, and returns when the last one has ended.
func (g *group) run(ctx context.Context) {
	going, stop := context.WithTimeout(ctx, max(g.until(g.ends)-requestLimit-margin, 0))
	g.stop = stop
	beating, rest := context.WithCancel(context.WithoutCancel(ctx))
	var others sync.WaitGroup
	others.Go(func() { g.pulse.run(beating) })
	others.Go(func() {
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			stop()
		case <-going.Done():
		}
	})
	g.gate.groups.add(1)
	g.dispatch(going, context.WithoutCancel(ctx), originOf(ctx))
	g.gate.groups.add(-1)
	close(g.jobs)
	g.workers.Wait()
	stop()
	rest()
	others.Wait()
}

// dispatch starts the requests, one after the other; base is what they run in.
func (g *group) dispatch(ctx, base context.Context, from origin) {
	manifest, segment, fault := g.stored(ctx, g.in.Dir, g.in.Segment)
	if fault != nil {
		for i := range g.outcomes {
			g.settle(i, *fault)
		}
		return
	}
	c := contents{group: &g.in, segment: segment, batch: manifest.Batch, from: from}
	c.batch.Messages = make([]message.Message, 1)
	for i, pos := range g.positions {
		g.pulse.reach(i)
		m, fault := c.read(pos)
		if fault == nil {
			fault = g.noSender
		}
		if fault == nil && g.limit(m.ExpiresAt) <= 0 {
			fault = &SendResult{Kind: KindExpired}
		}
		switch {
		case ctx.Err() != nil:
			return
		case fault != nil:
			g.settle(i, *fault)
		case !g.admit(ctx, i):
			return
		default:
			g.start(base, i, m)
		}
	}
	g.pulse.reach(len(g.positions))
}

// admit waits until a message may leave, and has a turn at the account's gate
// then. It is false when the group starts nothing more.
func (g *group) admit(ctx context.Context, i int) bool {
	for {
		if !g.pulse.lets(ctx, i) || g.gate.enter(ctx) != nil {
			return false
		}
		// Waiting for the turn may have taken long, and so may the process have slept.
		switch {
		case ctx.Err() != nil, g.until(g.ends) < requestLimit+margin:
			g.gate.leave()
			return false
		case g.pulse.fresh():
			return true
		}
		g.gate.leave()
	}
}

// start makes a request beside the others, or none where the message's validity
// ended while it waited.
func (g *group) start(base context.Context, i int, m message.Outgoing) {
	j := job{i: i, m: m, limit: g.limit(m.ExpiresAt)}
	if j.limit <= 0 {
		g.gate.leave()
		g.settle(i, SendResult{Kind: KindExpired})
		return
	}
	select {
	case g.jobs <- j:
	default:
		g.workers.Go(func() { g.work(base, j) })
	}
}

// work makes a request, and others that come up when it is done.
func (g *group) work(base context.Context, j job) {
	for more := true; more; j, more = <-g.jobs {
		g.measure.late(g.now().Sub(j.m.Due))
		res := g.request(base, g.sender, j.m, j.limit, g.measure)
		g.gate.answered(g.now())
		if res.Kind != string(provider.Unavailable) {
			g.available()
		}
		g.settle(j.i, res)
		g.gate.leave()
	}
}

// settle notes what became of a message.
func (g *group) settle(i int, res SendResult) {
	res.V, res.At = message.Version, g.now().UnixMilli()
	g.measure.attempts(res.Kind, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outcomes[i] = res
	if res.Kind == string(provider.Unavailable) {
		if g.row++; g.row >= groupRow {
			g.stop()
		}
	}
}

// available notes that the account is there.
func (g *group) available() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.row = 0
}

// known is what is known of the outcomes by now.
func (g *group) known() Outcomes {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.outcomes)
}

// contents fills in the messages of a group.
type contents struct {
	group   *GroupInput
	segment *store.Segment
	// batch is the manifest's; its one message is the one that is read.
	batch message.Batch
	from  origin
}

func (c *contents) read(pos int) (message.Outgoing, *SendResult) {
	index, m, err := c.segment.Message(pos)
	if err != nil {
		return message.Outgoing{}, lost("the message is damaged in the store")
	}
	b := &c.batch
	b.Messages[0] = m
	due := b.DueAt(0)
	if c.group.Due != 0 {
		due = c.group.Due
	}
	hop := slices.IndexFunc(b.Way(0), func(h message.Hop) bool { return h.Account == c.group.Account })
	if hop < 0 {
		return message.Outgoing{}, lost("the store has another way for the message than its account")
	}
	in := SendInput{
		Dialect: b.Dialect, Index: index, Channels: b.Way(0)[hop].Channels, Due: due, Expires: due + b.Validity(0),
		Template: b.Template, Message: m, Metadata: b.Metadata,
	}
	return in.outgoing(c.from)
}
