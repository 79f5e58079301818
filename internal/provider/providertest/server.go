package providertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// request is one request of a message as it came in.
type request struct {
	method, path string
	header       http.Header
	body         []byte
}

// server answers every request of a message in one way and remembers them.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(*server, http.ResponseWriter, *http.Request)
	// came gets a value per request of a message; it never blocks the server.
	came chan struct{}
	// closing ends handlers that wait.
	closing chan struct{}
}

func serve(t *testing.T, h Hooks, answer func(*server, http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{answer: answer, came: make(chan struct{}, 16), closing: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Aside != nil && h.Aside(w, r) {
			return
		}
		s.handle(w, r)
	}))
	t.Cleanup(func() {
		close(s.closing)
		s.Close()
	})
	return s
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, request{method: r.Method, path: r.URL.Path, header: r.Header.Clone()})
	answer := s.answer
	s.mu.Unlock()
	answer(s, w, r)
}

// drain reads the request's body and remembers it.
func (s *server) drain(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[len(s.requests)-1].body = body
}

// got returns the requests so far.
func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}
