package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxCallbacks is how many callbacks are kept; the oldest go first.
const maxCallbacks = 1_000

// Callback is a request that came to /callbacks, where a caller of Volley would have
// its endpoint.
type Callback struct {
	At     time.Time       `json:"at"`
	Header http.Header     `json:"header"`
	Body   json.RawMessage `json:"body"`
}

// callbacks are those that came, oldest first.
type callbacks struct {
	mu   sync.Mutex
	list []Callback
}

func (s *Sandbox) callbackRoutes() {
	s.mux.HandleFunc("POST /callbacks", s.takeCallback)
	s.mux.HandleFunc("GET /callbacks", func(w http.ResponseWriter, _ *http.Request) {
		list := s.Callbacks()
		slices.Reverse(list)
		reply(w, http.StatusOK, map[string]any{"callbacks": list})
	})
}

// takeCallback accepts everything that is JSON.
func (s *Sandbox) takeCallback(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || !json.Valid(body) {
		http.Error(w, "the body is not JSON", http.StatusBadRequest)
		return
	}
	c := &s.called
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, Callback{At: s.o.Now().UTC(), Header: r.Header, Body: body})
	if n := len(c.list) - maxCallbacks; n > 0 {
		c.list = slices.Delete(c.list, 0, n)
	}
	w.WriteHeader(http.StatusNoContent)
}

// Callbacks lists what came to /callbacks, oldest first, at most the last thousand.
func (s *Sandbox) Callbacks() []Callback {
	s.called.mu.Lock()
	defer s.called.mu.Unlock()
	return slices.Clone(s.called.list)
}
