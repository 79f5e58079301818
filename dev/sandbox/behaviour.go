package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Behaviour is what a recipient's identity asks the sandbox to do.
type Behaviour string

// The behaviours, as they stand inside an identity that is no phone number. The first in
// this order wins. A phone number has its last four digits instead (endings).
const (
	// Reject answers with the provider's permanent error.
	Reject Behaviour = "+reject"
	// Down always answers 503.
	Down Behaviour = "+down"
	// Flaky answers 503 twice, then accepts.
	Flaky Behaviour = "+flaky"
	// Limit answers 429 with Retry-After 1 once, then accepts.
	Limit Behaviour = "+limit"
	// Lost cuts the connection once without recording the message, then accepts.
	Lost Behaviour = "+lost"
	// Drop records the message and cuts the connection before the answer.
	Drop Behaviour = "+drop"
	// Slow records the message and answers after Options.Slow.
	Slow Behaviour = "+slow"
)

// endings are the behaviours of phone numbers, by their last four digits.
func endings() map[string]Behaviour {
	return map[string]Behaviour{
		"9901": Reject, "9902": Flaky, "9903": Limit, "9904": Slow, "9905": Drop, "9906": Lost, "9907": Down,
		"9908": Delivers, "9909": Undelivers,
	}
}

// ending is the last four digits of a recipient that is a phone number, with or
// without a + and separators; empty for any other.
func ending(to string) string {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("+ ().-", r) {
			return -1
		}
		return r
	}, to)
	if len(digits) < 8 || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits[len(digits)-4:]
}

func behaviourOf(to string) Behaviour {
	if s := endings()[ending(to)]; s != "" {
		return s
	}
	for _, s := range []Behaviour{Reject, Down, Flaky, Limit, Lost, Drop, Slow} {
		if strings.Contains(to, string(s)) {
			return s
		}
	}
	return ""
}

// steps counts the attempts of messages with a Behaviour. It forgets all when it is full,
// which only makes such a message start over.
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
	steer, first := Behaviour(""), records[0]
	for _, rec := range records {
		if steer = behaviourOf(rec.To); steer != "" {
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
func (s *Sandbox) refusal(steer Behaviour, key string, no refusals) func(http.ResponseWriter) {
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
