package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Steer is what a recipient's identity asks the sandbox to do.
type Steer string

// The steers, as they stand inside an identity. The first in this order wins.
const (
	// Reject answers with the provider's permanent error.
	Reject Steer = "+reject"
	// Down always answers 503.
	Down Steer = "+down"
	// Flaky answers 503 twice, then accepts.
	Flaky Steer = "+flaky"
	// Limit answers 429 with Retry-After 1 once, then accepts.
	Limit Steer = "+limit"
	// Lost cuts the connection once without recording the message, then accepts.
	Lost Steer = "+lost"
	// Drop records the message and cuts the connection before the answer.
	Drop Steer = "+drop"
	// Slow records the message and answers after Options.Slow.
	Slow Steer = "+slow"
)

func steerOf(to string) Steer {
	for _, s := range []Steer{Reject, Down, Flaky, Limit, Lost, Drop, Slow} {
		if strings.Contains(to, string(s)) {
			return s
		}
	}
	return ""
}

// steps counts the attempts of steered messages. It forgets all when it is full,
// which only makes a steered message start over.
type steps struct {
	max int
	mu  sync.Mutex
	n   map[string]int
}

func newSteps(most int) *steps { return &steps{max: most, n: map[string]int{}} }

// next returns how many attempts the message had before this one.
func (s *steps) next(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.n) >= s.max {
		clear(s.n)
	}
	n := s.n[key]
	s.n[key] = n + 1
	return n
}

// refusals are one provider's answers when it does not accept.
type refusals struct {
	reject, down, limit func(w http.ResponseWriter)
}

// take decides what becomes of messages that one request sends. It steers by the
// first record's recipient, or a later one's if that has none, records what is
// accepted and answers; accepted writes the provider's success.
func (s *Sandbox) take(w http.ResponseWriter, r *http.Request, no refusals, accepted func(), records ...*Record) {
	steer, first := Steer(""), records[0]
	for _, rec := range records {
		if steer = steerOf(rec.To); steer != "" {
			first = rec
			break
		}
	}
	refuse := s.refusal(steer, first.To+"\x00"+first.key(), no)
	if refuse == nil && s.log.add(s.o.Now, records...) != nil {
		refuse = no.down
	}
	if refuse != nil {
		s.refused.Add(1)
		refuse(w)
		return
	}
	for _, rec := range records {
		s.report(rec)
	}
	switch steer {
	case Drop:
		cut(w)
		return
	case Slow:
		if !wait(r, s.o.Slow) {
			return
		}
	}
	accepted()
}

// refusal is how a steered attempt is refused, or nil when it is accepted.
func (s *Sandbox) refusal(steer Steer, key string, no refusals) func(http.ResponseWriter) {
	switch steer {
	case Reject:
		return no.reject
	case Down:
		return no.down
	case Flaky:
		if s.steps.next(key) < 2 {
			return no.down
		}
	case Limit:
		if s.steps.next(key) < 1 {
			return func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", "1")
				no.limit(w)
			}
		}
	case Lost:
		if s.steps.next(key) < 1 {
			return cut
		}
	}
	return nil
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http then drops the connection, or resets an HTTP/2 stream
	}
	_ = conn.Close()
}

// wait waits, and reports false when the caller left meanwhile.
func wait(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
