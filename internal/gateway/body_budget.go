package gateway

import (
	"errors"
	"io"
	"sync"
)

const (
	// bodyBytes is how many bytes of tenants' request bodies are held at once. Where more
	// than a quarter of it is allowed for one body, it is four of those.
	bodyBytes = 256 << 20
	// callbackBytes is the same for bodies with delivery reports.
	callbackBytes = 64 << 20
	// freeBytes of each body count as nothing, so that small requests are always taken: the
	// number of connections bounds those.
	freeBytes = 64 << 10
	// streamBytes is what a request counts for that is read bit by bit.
	streamBytes = 8 << 20
)

// bodyBudget bounds how many bytes of request bodies are held. A caller may hold as many
// as it leaves to others, so that no number of callers takes all of it.
type bodyBudget struct {
	mu    sync.Mutex
	total int64
	held  int64
	by    map[string]int64
}

func newBodyBudget(total int64) *bodyBudget {
	return &bodyBudget{total: total, by: map[string]int64{}}
}

// change lets a caller hold n bytes more, or -n fewer. It is false where there is no room,
// and then changes nothing.
func (b *bodyBudget) change(caller string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && b.by[caller]+n > b.total-b.held-n {
		return false
	}
	b.held += n
	if b.by[caller] += n; b.by[caller] == 0 {
		delete(b.by, caller)
	}
	return true
}

// heldBody is a request's body whose bytes count as held once they are read, until they
// are released.
type heldBody struct {
	io.ReadCloser
	budget *bodyBudget
	caller string

	mu sync.Mutex // one that is read bit by bit is read in the background
	// read is how many bytes were read, and held how many count.
	read, held int64
	// whole means that the body was read to its end, and released that no more bytes count.
	whole, released bool
}

// hold makes the bytes of a body count for a caller.
func (b *bodyBudget) hold(caller string, body io.ReadCloser) *heldBody {
	return &heldBody{ReadCloser: body, budget: b, caller: caller}
}

// Read reads on; the error is a *failure where there is no room.
func (h *heldBody) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read += int64(n)
	h.whole = h.whole || errors.Is(err, io.EOF)
	for !h.released && h.read > freeBytes+h.held {
		if !h.count(freeBytes) {
			return 0, tooManyBytes()
		}
	}
	return n, err
}

func (h *heldBody) count(n int64) bool {
	ok := h.budget.change(h.caller, n)
	if ok {
		h.held += n
	}
	return ok
}

// isWhole reports whether the body was read to its end.
func (h *heldBody) isWhole() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whole
}

// stream is called where the bytes that were read, and those to come, are not kept.
func (h *heldBody) stream() error {
	h.release()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.count(streamBytes) {
		return tooManyBytes()
	}
	return nil
}

// release is called where the body is not held any longer. It may be called again.
func (h *heldBody) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = true
	h.budget.change(h.caller, -h.held)
	h.held = 0
}

// tooManyBytes is the failure of a request that there is no memory for.
func tooManyBytes() error {
	f := busy("too many large requests are under way")
	f.unread = true
	return f
}
