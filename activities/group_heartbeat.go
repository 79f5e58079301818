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
	"volley/internal/sabotage"
	"volley/workflows/contract"
)

// Times of a group's heartbeats. The server gives a group up 5 s after the last
// one that it has taken.
const (
	// beatEvery is how long after one heartbeat the next one goes out at the latest;
	// its answer is how the group hears of a cancel within a second.
	beatEvery = 800 * time.Millisecond
	// beatRetry is the wait after one that failed, beatTimeout how long one may take.
	beatRetry   = 200 * time.Millisecond
	beatTimeout = 3 * time.Second
	// beatMaxAge is how long after the beginning of the last heartbeat that was taken a
	// request may still start.
	beatMaxAge = 4 * time.Second
)

// heartbeater makes a group's heartbeats. Each brings the server a watermark: messages
// below the last one that the server has taken may leave.
type heartbeater struct {
	group *group
	token []byte
	// beatNow asks for a heartbeat now, acked is there when the server has taken one.
	beatNow, acked chan struct{}

	mu sync.Mutex
	// next is the first message that has not been started.
	next int
	// sentWatermark is the watermark of the last heartbeat, ackedWatermark that of the
	// last one which the server has taken. That one began at ackedSince.
	sentWatermark, ackedWatermark int
	ackedSince                    time.Time
	// window is how much a heartbeat raises the watermark.
	window int
}

// advance notes that every message before i has been dealt with, and has the next
// heartbeat made before the watermark is reached.
func (h *heartbeater) advance(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = i
	h.askForBeat()
}

// acknowledge notes that the server has taken a heartbeat, which began at a time.
func (h *heartbeater) acknowledge(watermark int, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ackedWatermark, h.ackedSince = watermark, began
	signal(h.acked)
	h.askForBeat()
}

// askForBeat has a heartbeat made now if little is left below the watermark. The caller
// holds mu.
func (h *heartbeater) askForBeat() {
	if h.nearWatermark() {
		signal(h.beatNow)
	}
}

// nearWatermark reports whether little is left below the watermark of a group that starts
// more.
func (h *heartbeater) nearWatermark() bool {
	return h.group.going.Err() == nil && h.sentWatermark < len(h.group.positions) && 2*(h.sentWatermark-h.next) < h.window
}

// awaitPermit waits until a message may leave. It is false when ctx has ended.
func (h *heartbeater) awaitPermit(ctx context.Context, i int) bool {
	for !h.permits(i) {
		select {
		case <-ctx.Done():
			return false
		case <-h.acked:
		}
	}
	return ctx.Err() == nil
}

// permits reports whether a message may leave now: the server has taken a heartbeat that
// lets it, and one so lately that a request may start. That counts by both clocks: one of
// them may stand still while a machine sleeps, the other may be set.
func (h *heartbeater) permits(i int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.group.now()
	if sabotage.Active(sabotage.Watermark) {
		return true
	}
	return i < h.ackedWatermark && max(now.Sub(h.ackedSince), now.Round(0).Sub(h.ackedSince.Round(0))) < beatMaxAge
}

// run makes heartbeats until ctx ends or the server does not know the group any
// more. A group that starts nothing more still makes them, while it waits for its
// last answers.
func (h *heartbeater) run(ctx context.Context) {
	if h.group.heartbeats == nil || len(h.group.positions) == 0 {
		h.group.stop()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-h.beatNow:
			h.mu.Lock()
			near := h.nearWatermark()
			h.mu.Unlock()
			if !near {
				continue // one that went out in the meantime has done it
			}
		}
		next, known := h.beat(ctx)
		if !known {
			return
		}
		timer.Reset(next.Sub(h.group.now()))
	}
}

// beat makes one heartbeat and tells when the next one is due. It is false when the
// server does not know the group any more.
func (h *heartbeater) beat(ctx context.Context) (next time.Time, known bool) {
	began := h.group.now()
	progress := contract.GroupProgress{V: message.Version, Watermark: h.raiseWatermark(began), Outcomes: h.group.known()}
	if sabotage.Active(sabotage.Watermark) {
		progress.Watermark = 0
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	err := h.group.heartbeats.RecordActivityHeartbeat(ctx, h.token, progress)
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		h.acknowledge(progress.Watermark, began)
	case temporal.IsCanceledError(err), errors.Is(err, activity.ErrActivityPaused), errors.Is(err, activity.ErrActivityReset):
		h.group.stop()
	case errors.As(err, &gone):
		h.group.stop()
		return began, false
	default:
		return h.group.now().Add(beatRetry), true
	}
	return began.Add(beatEvery), true
}

// raiseWatermark returns the watermark of the next heartbeat. It stays where the last one was not
// answered: the server may yet take that one, behind its successor, and must then
// not let less leave than has left.
func (h *heartbeater) raiseWatermark(now time.Time) int {
	window := h.group.limiter.window(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.window = window
	if h.sentWatermark == h.ackedWatermark && h.nearWatermark() {
		h.sentWatermark = min(h.sentWatermark+window, len(h.group.positions))
	}
	return h.sentWatermark
}

// signal puts something into a channel unless there is something.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
