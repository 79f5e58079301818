package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"volley/dev/bench/measure"
	"volley/dev/sandbox"
)

// down stands in the recipients that a sink refuses when it is told to.
const down = "+down"

// sink is the sandbox's /sink. It can note when requests arrived, and refuse
// recipients that are down.
type sink struct {
	url    string
	server *httptest.Server
	next   http.Handler

	notes atomic.Bool
	// watches tells recipients that are down from others, refuses also refuses them.
	watches, refuses atomic.Bool

	mu      sync.Mutex
	arrived measure.Arrivals
}

func newSink() *sink {
	s := &sink{next: sandbox.New(sandbox.Options{})}
	s.server = httptest.NewServer(s)
	s.url = s.server.URL
	return s
}

// at is the sink's address, answering after a delay.
func (s *sink) at(delay time.Duration) string {
	if delay <= 0 {
		return s.url + "/sink"
	}
	return s.url + "/sink?ms=" + strconv.FormatInt(delay.Milliseconds(), 10)
}

// ServeHTTP notes and passes on.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	others := true
	if s.watches.Load() {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		others = !bytes.Contains(body, []byte(down))
	}
	if !others && s.refuses.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if others && s.notes.Load() {
		s.mu.Lock()
		s.arrived = append(s.arrived, at)
		s.mu.Unlock()
	}
	s.next.ServeHTTP(w, r)
}

// note begins to note arrivals anew.
func (s *sink) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived = nil
	s.notes.Store(true)
}

// count is how many arrivals were noted.
func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived)
}

// arrivals are those noted since note, which ends.
func (s *sink) arrivals() measure.Arrivals {
	s.notes.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.arrived)
}
