package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
)

// Times of a group's heartbeats. The server gives a group up 5 s after the last
// one that it has taken.
const (
	// beatEvery is how long after one heartbeat the next one goes out at the latest;
	// its answer is how the group hears of a cancel within a second.
	beatEvery = 800 * time.Millisecond
	// beatAgain is the wait after one that failed, beatLimit how long one may take.
	beatAgain = 200 * time.Millisecond
	beatLimit = 3 * time.Second
	// beatOld is how long after the beginning of the last heartbeat that was taken a
	// request may still start.
	beatOld = 4 * time.Second
)

// pulse makes a group's heartbeats and knows what they let leave.
type pulse struct {
	group *group
	token []byte
	// want asks for a heartbeat now, news is there when one has been taken.
	want, news chan struct{}

	mu sync.Mutex
	// next is the first message that has not been started.
	next int
	// taken is the watermark of the last heartbeat that was taken, and since when it
	// began; said is the watermark of the last one.
	taken, said int
	since       time.Time
	// window is how much a heartbeat raises the watermark.
	window int
	// over means that the watermark is raised no more.
	over bool
}

func newPulse(g *group, token []byte) *pulse {
	return &pulse{group: g, token: token, want: make(chan struct{}, 1), news: make(chan struct{}, 1)}
}

// reach notes that every message before i has been dealt with, and has the next
// heartbeat made before the watermark is reached.
func (p *pulse) reach(i int) {
	p.mu.Lock()
	p.next = i
	low := p.low()
	p.mu.Unlock()
	if low {
		signal(p.want)
	}
}

// low reports whether little is left below the watermark.
func (p *pulse) low() bool {
	return !p.over && p.said < len(p.group.positions) && 2*(p.said-p.next) < p.window
}

// lets waits until a message may leave. It is false when ctx has ended.
func (p *pulse) lets(ctx context.Context, i int) bool {
	for ctx.Err() == nil {
		p.mu.Lock()
		ok := i < p.taken && p.young()
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-ctx.Done():
		case <-p.news:
		}
	}
	return false
}

// fresh reports whether a request may start: the server has lately been there.
func (p *pulse) fresh() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.young()
}

// young counts by both clocks: one of them may stand still while a machine sleeps,
// the other may be set.
func (p *pulse) young() bool {
	now := p.group.now()
	return max(now.Sub(p.since), now.Round(0).Sub(p.since.Round(0))) < beatOld
}

// run makes heartbeats until ctx ends or the server does not know the group any
// more. A group that starts nothing more still makes them, while it waits for its
// last answers.
func (p *pulse) run(ctx context.Context) {
	if p.group.heartbeats == nil || len(p.group.positions) == 0 {
		p.group.stop()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.want:
			p.mu.Lock()
			low := p.low()
			p.mu.Unlock()
			if !low {
				continue // one that went out in the meantime has done it
			}
		}
		began := p.group.now()
		wait, known := p.beat(ctx)
		if !known {
			return
		}
		timer.Reset(max(wait-p.group.now().Sub(began), 0))
	}
}

// beat makes one heartbeat and tells when the next one is due, counted from its
// beginning. It is false when the server does not know the group any more.
func (p *pulse) beat(ctx context.Context) (next time.Duration, known bool) {
	began := p.group.now()
	progress := GroupProgress{V: message.Version, Watermark: p.raise(began), Outcomes: p.group.known()}
	ctx, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	err := p.group.heartbeats.RecordActivityHeartbeat(ctx, p.token, progress)
	var canceled *temporal.CanceledError
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		p.mu.Lock()
		p.taken, p.since = progress.Watermark, began
		low := p.low()
		p.mu.Unlock()
		signal(p.news)
		if low {
			signal(p.want)
		}
	case errors.As(err, &canceled), errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
		p.end()
	case errors.As(err, &gone):
		p.end()
		return 0, false
	default:
		return p.group.now().Sub(began) + beatAgain, true
	}
	return beatEvery, true
}

// raise is the watermark of the next heartbeat. It stays where the last one was not
// answered: the server may yet take that one, behind its successor, and must then
// not let less leave than has left.
func (p *pulse) raise(now time.Time) int {
	window := p.group.gate.window(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window = window
	if p.said == p.taken && p.low() {
		p.said = min(p.said+window, len(p.group.positions))
	}
	return p.said
}

// end makes the group start nothing more.
func (p *pulse) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.group.stop()
}

// signal puts something into a channel unless there is something.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
