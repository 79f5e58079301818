package starter

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"volley/internal/message"
)

// maxHeard is of how many segments it is kept what they said.
const maxHeard = 20_000

// heard is what running segments said of themselves when they were last asked.
type heard struct {
	said  *lru.Cache[string, heardStatus] // by workflow id
	mu    sync.Mutex
	asked map[string]chan struct{}
}

// heardStatus is a segment's status as it was at a time.
type heardStatus struct {
	message.Status
	at time.Time
}

func (h *heard) of(wid string) (heardStatus, bool) {
	return h.said.Get(wid)
}

// ask puts a question to a segment in the background, unless one is under way. The
// channel is closed once it was answered or could not be.
func (h *heard) ask(wid string, question func() (heardStatus, bool)) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if done, ok := h.asked[wid]; ok {
		return done
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
		if last, _ := h.said.Peek(wid); ok && st.Rev >= last.Rev {
			h.said.Add(wid, st)
		}
		delete(h.asked, wid)
		close(done)
	}()
	return done
}
