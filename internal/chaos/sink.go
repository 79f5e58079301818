package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Answers of the sink. Some take the message and do not say so, which is what makes a
// message doubtful.
const (
	answerTaken        = "taken"
	answerKnown        = "known"
	answerAbsent       = "absent"
	answerRefused      = "refused"
	answerThrottled    = "429"
	answerUnavailable  = "503"
	answerBroken       = "500, not taken"
	answerBrokenTaken  = "500, taken"
	answerGarbage      = "garbage, taken"
	answerDropped      = "dropped, not taken"
	answerDroppedTaken = "dropped, taken"
	answerSlow         = "slow, taken"
	misbehaviours      = 8
)

const (
	maxSinkBody    = 1 << 20
	sinkReadHeader = 10 * time.Second
	// slowest is the longest that a slow answer takes.
	slowest = 3 * time.Second
	// refusedPart stands in a recipient that is always refused.
	refusedPart = "refused"
	// shareParts is into how many parts a share is divided.
	shareParts = 10_000
)

// sink is the provider of a run. It takes messages as a webhook, writes down every request,
// and says what it has to those who ask.
type sink struct {
	seed   uint64
	url    string
	server *http.Server

	mu sync.Mutex
	// faults is the share of requests that misbehave, slowest how long a slow answer takes
	// at most.
	faults   float64
	slowest  time.Duration
	requests []Request
	tries    map[string]int    // requests to send, by message id
	receipts map[string]string // the first of what was taken, by message id
	taken    int
}

// openSink serves a sink on the loopback interface.
func openSink(ctx context.Context, seed uint64, faults float64) (*sink, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	s := &sink{seed: seed, faults: faults, slowest: slowest, url: "http://" + l.Addr().String(), tries: map[string]int{}, receipts: map[string]string{}}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: sinkReadHeader}
	go func() { _ = s.server.Serve(l) }() // it ends with close; requests that it does not take are no harm to the proof
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

// behave makes the sink answer as it should from now on.
func (s *sink) behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = 0
}

// log is a copy of all requests by now.
func (s *sink) log() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// answers counts the requests by how they were answered.
func (s *sink) answers() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for i := range s.requests {
		counts[s.requests[i].Answer]++
	}
	return counts
}

// accepted is how many times a message was taken.
func (s *sink) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// event is the part of a webhook's document that the sink reads.
type event struct {
	Timestamp time.Time
	Data      struct {
		Batch, ID, To, Reference string
		Index                    int
	}
}

// ServeHTTP takes a message or says whether it has one. The account is the path.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	account := strings.Trim(r.URL.Path, "/")
	if r.Method == http.MethodGet {
		s.question(w, Request{Arrived: time.Now(), Account: account, ID: r.URL.Query().Get("id"), Question: true})
		return
	}
	var e event
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSinkBody))
	if err != nil || json.Unmarshal(body, &e) != nil {
		return // it broke off on the way, so that nothing was taken
	}
	q := Request{
		Arrived: time.Now(), Stamped: e.Timestamp, Account: account,
		Batch: e.Data.Batch, ID: e.Data.ID, Reference: e.Data.Reference, Index: e.Data.Index,
	}
	s.answer(w, s.take(q, strings.Contains(e.Data.To, refusedPart)))
}

// take decides what becomes of a message and writes it down, before anything is answered.
func (s *sink) take(q Request, refused bool) Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[q.ID]++
	q.Answer = s.choose(fmt.Sprintf("send %s %d", q.Reference, s.tries[q.ID]))
	switch q.Answer {
	case answerTaken, answerBrokenTaken, answerGarbage, answerDroppedTaken, answerSlow:
		q.Accepted = true
	}
	if refused && q.Accepted {
		q.Accepted, q.Answer = false, answerRefused
	}
	if q.Accepted {
		s.taken++
		q.Receipt = fmt.Sprintf("r%d-%s", s.taken, q.ID)
		if s.receipts[q.ID] == "" {
			s.receipts[q.ID] = q.Receipt
		}
	}
	s.requests = append(s.requests, q)
	return q
}

// question answers what the sink has of a message. It may give no answer, and never a
// wrong one.
func (s *sink) question(w http.ResponseWriter, q Request) {
	s.mu.Lock()
	key := "ask " + q.ID
	s.tries[key]++
	receipt := s.receipts[q.ID]
	switch q.Answer = s.choose(fmt.Sprintf("%s %d", key, s.tries[key])); q.Answer {
	case answerThrottled, answerUnavailable, answerDropped, answerBroken:
	default:
		if q.Answer = answerAbsent; receipt != "" {
			q.Answer = answerKnown
		}
	}
	q.Receipt = receipt
	s.requests = append(s.requests, q)
	s.mu.Unlock()
	s.answer(w, q)
}

// choose draws an answer by the seed and what it is for, whatever the order in which
// requests come. The caller holds mu.
func (s *sink) choose(what string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", s.seed, what)
	drawn := mix(h.Sum64())
	if float64(drawn%shareParts) >= s.faults*shareParts {
		return answerTaken
	}
	return [misbehaviours]string{
		answerThrottled, answerUnavailable, answerBroken, answerBrokenTaken, answerGarbage, answerDropped, answerDroppedTaken, answerSlow,
	}[drawn/shareParts%misbehaviours]
}

// mix spreads the bits of a hash, whose low ones FNV leaves alike for alike texts.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// answer writes the answer to a request.
func (s *sink) answer(w http.ResponseWriter, q Request) {
	w.Header().Set("Content-Type", "application/json")
	switch q.Answer {
	case answerSlow:
		time.Sleep(time.Duration(mix(uint64(q.Index)) % uint64(s.slowest)))
		fmt.Fprintf(w, `{"id":%q}`, q.Receipt)
	case answerTaken, answerKnown:
		fmt.Fprintf(w, `{"id":%q}`, q.Receipt)
	case answerGarbage:
		_, _ = w.Write([]byte("\x00\xff{\"id\":"))
	case answerAbsent:
		w.WriteHeader(http.StatusNotFound)
	case answerRefused:
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"code":"refused","message":"this recipient is always refused"}`)
	case answerThrottled:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case answerUnavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case answerDropped, answerDroppedTaken:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}
