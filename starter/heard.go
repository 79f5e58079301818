package starter

import (
	"sync"
	"time"

	"volley/internal/message"
)

// maxHeard is of how many segments it is kept what they said.
const maxHeard = 20_000

// heard is what running segments said of themselves when they were last asked. The
// zero value has heard nothing.
type heard struct {
	mu    sync.Mutex
	said  map[string]heardStatus // by workflow id
	asked map[string]chan struct{}
}

// heardStatus is a segment's status as it was at a time.
type heardStatus struct {
	message.Status
	at time.Time
}

func (h *heard) of(wid string) (heardStatus, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, ok := h.said[wid]
	return st, ok
}

// ask puts a question to a segment in the background, unless one is under way. The
// channel is closed once it was answered or could not be.
func (h *heard) ask(wid string, question func() (heardStatus, bool)) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if done, ok := h.asked[wid]; ok {
		return done
	}
	if h.said == nil || len(h.said) >= maxHeard {
		h.said = map[string]heardStatus{}
	}
	if h.asked == nil {
		h.asked = map[string]chan struct{}{}
	}
	done := make(chan struct{})
	h.asked[wid] = done
	go func() {
		st, ok := question()
		h.mu.Lock()
		defer h.mu.Unlock()
		if ok && st.Rev >= h.said[wid].Rev {
			h.said[wid] = st
		}
		delete(h.asked, wid)
		close(done)
	}()
	return done
}
