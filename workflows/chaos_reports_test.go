package workflows_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// post is what providers report of the messages that they took, at any time, some
// of it twice or the wrong way round.
type post struct {
	c       *chaos
	awaits  bool
	pending []dated
	// delivered and undelivered count the reports that the batch was given of each
	// message, by what they say.
	delivered, undelivered map[int]int
	// last are the reports that the batch was given last. The environment forgets a
	// signal that comes in the very instant in which a run ends, which no server does.
	last []dated
}

type dated struct {
	at time.Time
	message.Report
}

func newPost(c *chaos, in contract.Input) *post {
	return &post{c: c, awaits: in.Batch.AwaitReports > 0, delivered: map[int]int{}, undelivered: map[int]int{}}
}

// takes lets a provider report of a message that it took, sooner or later.
func (p *post) takes(b *flowtest.Bench, i int, account string) {
	rnd := p.c.rnd
	for _, state := range [][]message.State{
		nil, {message.Delivered}, {message.Undelivered}, {message.Delivered, message.Delivered}, {message.Undelivered, message.Undelivered},
	}[rnd.IntN(5)] {
		d := dated{at: b.Env.Now().Add(time.Duration(rnd.IntN(3_000_000)) * time.Millisecond), Report: message.Report{
			ID: flowtest.ID(i), State: state, Account: account, Code: "r", Detail: "reported", ProviderID: []string{"", fmt.Sprintf("p-%d", i)}[rnd.IntN(2)],
		}}
		if rnd.IntN(3) == 0 {
			d.at = b.Env.Now()
		}
		p.pending = append(p.pending, d)
		p.register(b, d)
	}
}

// register lets a report come in this run.
func (p *post) register(b *flowtest.Bench, d dated) {
	b.At(max(d.at.Sub(b.Env.Now()), time.Millisecond), func() {
		if b.Env.IsWorkflowCompleted() {
			return
		}
		at := -1
		for k := range p.pending {
			if p.pending[k] == d {
				at = k
			}
		}
		if at < 0 {
			return
		}
		p.pending = append(p.pending[:at:at], p.pending[at+1:]...)
		if now := b.Env.Now(); len(p.last) > 0 && p.last[0].at.Before(now) {
			p.last = nil
		}
		d.at = b.Env.Now()
		p.last = append(p.last, d)
		_, i, _ := message.ParseID(d.ID)
		if d.State == message.Delivered {
			p.delivered[i]++
		} else {
			p.undelivered[i]++
		}
		nobody, nothing := d.Report, d.Report
		nobody.Account, nothing.ID = "nobody", flowtest.ID(len(p.c.accepted))
		b.Report(d.Report, nobody, nothing)
	})
}

// goesOn registers in the next run what the one before did not see.
func (p *post) goesOn(b *flowtest.Bench) {
	p.forgotten(b.Env.Now())
	for _, d := range p.pending {
		p.register(b, d)
	}
}

// forgotten takes reports back that came when a run ended.
func (p *post) forgotten(end time.Time) {
	for _, d := range p.last {
		if d.at.Before(end) {
			continue
		}
		p.pending = append(p.pending, d)
		_, i, _ := message.ParseID(d.ID)
		if d.State == message.Delivered {
			p.delivered[i]--
		}
	}
	p.last = nil
}

// leaves holds a request that leaves to what reports have said.
func (p *post) leaves(i int) {
	require.Zero(p.c.t, p.delivered[i], "a request left for message %d that was delivered", i)
}

// judge holds a message's end to what providers took and reported.
func (p *post) judge(i int, row message.Row, trail []message.Event) {
	t, accepted, gone := p.c.t, p.c.accepted[i], p.undelivered[i]
	if p.awaits {
		require.LessOrEqual(t, accepted, 1+gone, "message %d was taken twice, trail %v", i, trail)
	} else {
		require.LessOrEqual(t, accepted, 1, "message %d was taken twice, trail %v", i, trail)
	}
	if p.delivered[i] > 0 && gone == 0 {
		require.Equal(t, message.Delivered, row.State, "message %d was delivered, trail %v", i, trail)
	}
	switch row.State {
	case message.Delivered:
		require.NotNil(t, row.SentAt)
	case message.Undelivered:
		require.Positive(t, gone)
		require.NotNil(t, row.SentAt)
	case message.Sent:
		require.Positive(t, accepted)
		require.NotNil(t, row.SentAt)
	case message.Unknown:
	default:
		require.LessOrEqual(t, accepted, gone, "message %d was taken and is %s, %v", i, row.State, trail)
	}
}
