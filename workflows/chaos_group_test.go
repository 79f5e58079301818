package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/workflows/contract"
)

// chaosGroup is one group that has begun.
type chaosGroup struct {
	*segmentChaos
	in      contract.GroupInput
	at      []int
	began   time.Time
	out     contract.Outcomes
	next    int
	mark    int
	waiting int // requests without an answer
	over    bool
}

// onGroup sends a group's messages one after the other, until it hears from a heartbeat
// that it is to stop, or dies.
func (c *segmentChaos) onGroup(ctx, asked workflow.Context, in contract.GroupInput) (contract.GroupResult, error) {
	g := &chaosGroup{segmentChaos: c, in: in, at: in.Positions(), began: workflow.Now(ctx)}
	g.out = make(contract.Outcomes, len(g.at))
	defer func() { g.over = true }()
	for stopped := false; ; {
		c.pass(ctx, 400*time.Millisecond)
		if c.rnd.IntN(60) == 0 {
			return contract.GroupResult{}, g.dies()
		}
		stopped = stopped || asked.Err() != nil && c.rnd.IntN(3) == 0 || c.rnd.IntN(200) == 0
		switch {
		case !stopped && g.next < len(g.at):
			if g.next >= g.mark {
				g.mark = min(len(g.at), g.next+1+c.rnd.IntN(20))
			}
			g.leave(ctx, g.next)
			g.next++
		case g.waiting == 0:
			return contract.GroupResult{V: 1, Outcomes: g.result()}, nil
		}
	}
}

// dies is how a group ends whose worker is gone, or panics.
func (g *chaosGroup) dies() error {
	if g.mark > 0 && g.rnd.IntN(5) == 0 {
		return errors.New("panic")
	}
	p := contract.GroupProgress{V: 1, Watermark: g.mark, Outcomes: slices.Clone(g.out)}
	for k := max(g.next-g.rnd.IntN(10), 0); k < len(p.Outcomes); k++ {
		p.Outcomes[k] = contract.SendResult{} // what the last heartbeat did not know
	}
	return temporal.NewHeartbeatTimeoutError(g.copied(p))
}

// result is what became of each message.
func (g *chaosGroup) result() contract.Outcomes {
	for k := range g.out {
		if g.out[k].Kind == "" {
			g.out[k] = contract.SendResult{V: 1, Kind: contract.KindNotStarted}
		}
	}
	return g.out
}

// leave sends the k-th message of a group.
func (g *chaosGroup) leave(ctx workflow.Context, k int) {
	i, now := g.at[k], workflow.Now(ctx)
	due := g.lines[i].Due
	if g.in.Due > 0 {
		due = g.in.Due
	}
	if now.UnixMilli() >= due+g.lines[i].TTL {
		g.out[k] = contract.SendResult{V: 1, Kind: contract.KindExpired, At: now.UnixMilli()}
		return
	}
	assert.GreaterOrEqual(g.t, now.UnixMilli(), due, "message %d leaves before it is due", i)
	assert.False(g.t, g.canceled[flowtest.ID(i)], "a request left for message %d, which was canceled", i)
	if at, ok := g.flying[i]; (g.inFlight[flowtest.ID(i)] || g.paused) && (!ok || g.began.After(at)) {
		assert.Fail(g.t, "a request left", "message %d, paused %v", i, g.paused)
	}
	g.post.leaves(i)
	kinds := []string{"sent", "sent", "sent", "sent", "sent", "throttled", "unavailable", "rejected", "ambiguous", "not_started"}
	res := contract.SendResult{V: 1, Kind: kinds[g.rnd.IntN(len(kinds))], Code: "x"}
	if g.away(g.in.Account, now) {
		res.Kind = "unavailable"
	}
	takes := res.Kind == "sent" || res.Kind == "ambiguous" && g.rnd.IntN(2) == 0
	land := func() {
		res.At = workflow.Now(ctx).UnixMilli()
		if takes {
			g.takes(i, g.in.Account)
		}
		if res.Kind == "sent" {
			res.ProviderID = fmt.Sprintf("p-%d", i)
		}
		if !g.over {
			g.out[k] = res
		}
	}
	if g.rnd.IntN(4) > 0 {
		land()
		return
	}
	g.waiting++ // it may be under way for a while, also after the group was given up
	workflow.Go(ctx, func(ctx workflow.Context) {
		g.pass(ctx, 9500*time.Millisecond)
		g.waiting--
		land()
	})
}

// onLoad reads the segment.
func (c *segmentChaos) onLoad() (contract.LoadResult, error) {
	if c.fails--; c.fails > 0 {
		if c.fails%2 == 0 {
			return contract.LoadResult{V: 1}, nil
		}
		return contract.LoadResult{}, errors.New("the store does not answer")
	}
	c.loaded = true
	res := contract.LoadResult{V: 1, Found: true, Lines: c.lines, Batch: c.head, Canceled: c.named}
	return res, nil
}

// onKeep takes a while to keep a ledger.
func (c *segmentChaos) onKeep(ctx workflow.Context, in contract.KeepInput) error {
	if c.fails = c.rnd.IntN(6) - 3; c.fails > 0 {
		return errors.New("the store does not answer")
	}
	c.pass(ctx, 3*time.Second)
	c.ledger = in.Ledger
	c.pass(ctx, 3*time.Second)
	return nil
}
