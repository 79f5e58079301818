package console

import (
	"errors"
	"slices"
	"sync"
	"time"

	"volley/starter"
)

// history remembers what earlier snapshots had, as long as the process runs. It is safe
// for concurrent use.
type history struct {
	mu sync.Mutex
	// seen is when each finding was first seen, of those that were there the last time.
	seen map[string]time.Time
	// unknown are how many messages were unknown, over risingFor.
	unknown []sample
	last    *snapshot
}

type sample struct {
	at time.Time
	n  int
}

// risingFor is how long a number counts as having risen.
const risingFor = 10 * time.Minute

// since fills in when findings were first seen.
func (h *history) since(now time.Time, all []finding) []finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]time.Time{}
	for i := range all {
		f := &all[i]
		at, ok := h.seen[f.Key]
		if !ok {
			at = now
		}
		seen[f.Key] = at
		if f.Seen {
			f.Since = at
		}
	}
	h.seen = seen
	return all
}

// rising is by how much the number of unknown messages has risen within risingFor.
func (h *history) rising(now time.Time, n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unknown = slices.DeleteFunc(h.unknown, func(s sample) bool { return now.Sub(s.at) > risingFor })
	h.unknown = append(h.unknown, sample{now, n})
	least := n
	for _, s := range h.unknown {
		least = min(least, s.n)
	}
	return n - least
}

func (h *history) keep(s *snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = s
}

// unreadable is the last snapshot, with why there is no newer one.
func (h *history) unreadable(now time.Time, err error) *snapshot {
	h.mu.Lock()
	s := snapshot{At: now}
	if h.last != nil {
		s = *h.last
	}
	h.mu.Unlock()
	f := finding{Key: "unreachable", rank: rankUnreachable, Tone: toneBad, Seen: true, What: "Temporal does not answer", Why: "nothing can be read or changed until it does"}
	if !errors.Is(err, starter.ErrUnreachable) && !errors.Is(err, starter.ErrBusy) {
		f.What, f.Why = "This page cannot be read", sentence(err)
	}
	s.Findings = h.since(now, []finding{f})
	return &s
}
