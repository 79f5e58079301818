package sandbox

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultKeep is how many records a sandbox keeps when Options.Keep is 0.
const DefaultKeep = 100_000

// maxBody bounds a request's body, in bytes.
const maxBody = 8 << 20

// Options configure a Sandbox. The zero value works: every well-formed
// credential is accepted and nothing is written to a file.
type Options struct {
	// Keep is how many accepted records are kept in memory; later ones are only
	// counted and cannot be read back. 0 is DefaultKeep.
	Keep int
	// Journal is a file to which every accepted record is appended as one line of
	// JSON before it is answered, and from which New reads what an earlier process
	// accepted. Empty is none.
	Journal string
	// AccessTTL is how long a Bluesky access token and a Sinch token live; 0 is two
	// hours for Bluesky and one for Sinch, as at the providers.
	AccessTTL time.Duration
	// RefreshTTL is how long a Bluesky refresh token lives; 0 is 90 days.
	RefreshTTL time.Duration
	// Slow is how long a +slow recipient's answer takes; 0 is 5 s.
	Slow time.Duration

	// AccessKey (Bird), KeyID and KeySecret (Sinch), APIKey (IMKIT), Identifier and
	// Password (Bluesky) are the only credentials accepted where they are set;
	// empty accepts any that is not empty.
	AccessKey, KeyID, KeySecret, APIKey, Identifier, Password string
	// Secret is the webhook's signing secret, "whsec_" and base64. Empty leaves
	// signatures unchecked.
	Secret string
	// ReportSecret signs delivery reports (ReportTo): "whsec_" and base64, of which the
	// webhook's key is what is encoded and the others' the text itself.
	ReportSecret string

	// Accounts names what Record.Account holds, such as a Bird workspace, or a whole
	// provider, as the sender's configuration does, so that /messages?account= finds
	// it. Nil names none.
	Accounts map[string]string

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Sandbox is the server's state. It is safe for use by many goroutines.
type Sandbox struct {
	o   Options
	mux *http.ServeMux
	log *log

	steps *steps
	sunk  atomic.Int64
	// refused counts answers other than an acceptance to requests that would send.
	refused atomic.Int64
	logins  atomic.Int64

	// reports is where deliveries are reported; closing ends when the sandbox does.
	reports   atomic.Pointer[string]
	reporting sync.WaitGroup
	called    callbacks
	closing   context.Context
	close     context.CancelFunc
}

// New returns a sandbox. When the journal cannot be used, Err says why and every
// message is refused with 503, unrecorded.
func New(o Options) *Sandbox {
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Slow <= 0 {
		o.Slow = 5 * time.Second
	}
	if o.RefreshTTL <= 0 {
		o.RefreshTTL = 90 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sandbox{o: o, mux: http.NewServeMux(), log: openLog(o.Keep, o.Journal), steps: newSteps(o.Keep)}
	s.closing, s.close = context.WithCancel(context.Background())
	s.routes()
	return s
}

// Handler returns the sandbox as a handler for the root of a server.
func (s *Sandbox) Handler() http.Handler { return s.mux }

// ServeHTTP makes the sandbox itself a handler, the same as Handler.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Err is the first error of the journal; nil when there is none or no journal.
func (s *Sandbox) Err() error { return s.log.failure() }

// Close gives up reports that nobody has taken yet, and closes the journal. A message
// that comes later is refused with 503.
func (s *Sandbox) Close() error {
	s.close()
	s.reporting.Wait()
	return s.log.close()
}

// Received returns the kept records in the order in which they were accepted.
func (s *Sandbox) Received() []Record { return s.log.received() }

// Counts says how much was received.
func (s *Sandbox) Counts() Counts {
	c := s.log.counts()
	c.Sunk, c.Refused, c.Logins = s.sunk.Load(), s.refused.Load(), s.logins.Load()
	return c
}

func (s *Sandbox) routes() {
	s.mux.HandleFunc("GET /{$}", s.page)
	s.mux.HandleFunc("GET /messages", s.messages)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.mux.HandleFunc("POST /sink", s.sink)
	s.mux.HandleFunc("GET /sink", s.sinkCount)
	s.birdRoutes()
	s.sinchRoutes()
	s.imkitRoutes()
	s.blueskyRoutes()
	s.webhookRoutes()
	s.callbackRoutes()
}
