package s3test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// Delay is how long requests take in most tests: a little more than to a region
// nearby.
const Delay = 50 * time.Millisecond

// bucket is the only one there is.
const bucket = "volley"

// Load is what a server had to do since Reset.
type Load struct {
	// Requests counts all requests, By those of each method.
	Requests int
	By       map[string]int
	// Peak is how many were under way at once.
	Peak int
	// Rounds is how often a request waited for the answer to another one, and that for
	// one more, and so on: the time that it took, in delays. It is 0 without a delay.
	Rounds int
}

// Server is an S3 server. It is safe for concurrent use.
type Server struct {
	http    *httptest.Server
	backend gofakes3.Backend
	s3      http.Handler

	mu    sync.Mutex
	delay time.Duration
	load  Load
	under int
	// held are the requests of the round that gathers, since first; turn counts rounds
	// and arrivals, so that a timer knows whether it is the last one.
	held  []chan struct{}
	first time.Time
	turn  int
}

// Start starts a server that answers at once, until SetDelay. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := New()
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// New starts a server that answers at once, until SetDelay, and ends with Close.
func New() (*Server, error) {
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		return nil, err
	}
	s := &Server{backend: backend, s3: gofakes3.New(backend).Server(), load: Load{By: map[string]int{}}}
	s.http = httptest.NewServer(s)
	return s, nil
}

// Close ends the server.
func (s *Server) Close() {
	s.SetDelay(0)
	s.http.Close()
}

// URL is the address for store.Open.
func (s *Server) URL() string { return s.Under("") }

// Keys are the keys of what is stored below a prefix.
func (s *Server) Keys(prefix string) (all []string, err error) {
	page := gofakes3.ListBucketPage{}
	for {
		list, err := s.backend.ListBucket(bucket, &gofakes3.Prefix{HasPrefix: true, Prefix: prefix}, page)
		if err != nil {
			return nil, err
		}
		for _, o := range list.Contents {
			all = append(all, o.Key)
		}
		if !list.IsTruncated {
			return all, nil
		}
		page = gofakes3.ListBucketPage{Marker: list.NextMarker, HasMarker: true}
	}
}

// Under is the address of a store whose keys all begin with a prefix, beside others.
func (s *Server) Under(prefix string) string {
	q := url.Values{
		"endpoint": {s.http.URL}, "region": {"eu-central-1"}, "anonymous": {"true"},
		"hostname_immutable": {"true"}, "use_path_style": {"true"},
	}
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	return "s3://" + bucket + "?" + q.Encode()
}

// SetDelay says how long requests take from now on. Those that are under way at the
// same time are answered together, when no other one has come for the delay, or after
// ten delays: on a slow machine they still are one round.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
	s.release()
}

// Reset begins to count anew.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load = Load{By: map[string]int{}}
}

// Load says what the server had to do since Reset.
func (s *Server) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	load := s.load
	load.By = maps.Clone(load.By)
	return load
}

// ServeHTTP answers a request of S3, after a while.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	<-s.arrive(r.Method)
	s.s3.ServeHTTP(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
}

// arrive counts a request. It may go on when the channel is closed.
func (s *Server) arrive(method string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load.Requests++
	s.load.By[method]++
	s.under++
	s.load.Peak = max(s.load.Peak, s.under)
	ready := make(chan struct{})
	s.held = append(s.held, ready)
	if s.delay == 0 {
		s.release()
		return ready
	}
	now := time.Now()
	if len(s.held) == 1 {
		s.first = now
	}
	s.turn++
	turn := s.turn
	time.AfterFunc(min(s.delay, s.first.Add(10*s.delay).Sub(now)), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if turn == s.turn && len(s.held) > 0 {
			s.load.Rounds++
			s.release()
		}
	})
	return ready
}

// release lets the requests of a round go on.
func (s *Server) release() {
	for _, ready := range s.held {
		close(ready)
	}
	s.held = nil
	s.turn++
}
