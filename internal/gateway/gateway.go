package gateway

import (
	"context"
	"iter"
	"net/http"
	"runtime"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// Reads reads batches and finds messages of them.
type Reads interface {
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Messages(ctx context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error)
	Message(ctx context.Context, ref starter.Ref, idOrIndex string) (message.Row, error)
	Results(ctx context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error]
	List(ctx context.Context, q starter.ListQuery) (starter.Batches, error)
	Find(ctx context.Context, tenant, messageID string) (starter.Ref, error)
	Accepted(ctx context.Context, ref starter.Ref) (*message.Batch, error)
	Wait(ctx context.Context, ref starter.Ref) (message.Status, error)
	Accounts(ctx context.Context, q starter.AccountsQuery) (starter.AccountList, error)
	ExpectRepeat(started starter.Started)
}

// Batches starts, reads and controls batches; *starter.Starter does.
type Batches interface {
	Reads
	audit.Changes
}

// watched is Batches whose changes are noted for the audit log.
type watched struct {
	Reads
	audit.Changes
}

var _ Batches = (*starter.Starter)(nil)

// Options are what a Gateway serves and by which rules. Batches and Tenants are
// needed.
type Options struct {
	Batches Batches
	// Tenants are all of them; one without a key is for people.
	Tenants []intake.Caller
	// People may use Volley's own API as their roles let them; nil is nobody.
	People *access.Book
	// Accounts are those of the configuration: which workspace, channel, project and
	// app is which account's. Their credentials are not used.
	Accounts []provider.Account
	Limits   intake.Limits
	// Estimates are what the estimate of a request that is checked follows from.
	Estimates intake.Estimates
	// BlueskyWait is how long a Bluesky call waits for its batch; 0 is 25 s.
	BlueskyWait time.Duration
	// Readers and Reporter take delivery reports in; without both none are taken.
	Readers  ReportReaders
	Reporter Reporter
	// PublicURL is the address under which providers know the gateway, such as
	// https://volley.example.com; empty is what a request says of itself.
	PublicURL string
	// Ready says whether the gateway can serve; nil is always.
	Ready func(context.Context) error
	// Closed is why the keyset is not right just now; tenants and providers are answered 503
	// then. Nil is that it always is.
	Closed func() error
	// Metrics serves GET /metrics; nil is not found.
	Metrics http.Handler
	// Observe is called for every answer with its route pattern, status and duration.
	// The status is 499 for a server error that the client did not wait for. Nil is no
	// call.
	Observe func(route string, status int, took time.Duration)
	// CountFailedLogin is called with the route pattern for every wrong key, password or
	// token. Nil is no call.
	CountFailedLogin func(route string)
	// CountReports is called with how many delivery reports of an account had no
	// effect, and why: "ignored", "unreadable" or "foreign". Nil is no call.
	CountReports func(account, outcome string, n int)
	// ObserveReport is called when reports of an account have been taken.
	ObserveReport func(account string)
	// Suppressions are changed and listed by callers; nil is none.
	Suppressions Suppressions
	// Persons forgets people and tells what is known of them; nil is that there is no index.
	Persons Persons
	// Suppressed reports at acceptance whether a tenant's messages to one of the addresses
	// are not sent, with phone numbers as those of a region; nil is nobody.
	Suppressed func(tenant, region string, addresses []string) bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where odd things are noted; nil is nowhere.
	Log *zap.Logger
	// Audit gets a line for every action and login; nil is one that writes to Log.
	Audit *audit.Log
	// Index answers what is asked across batches; nil is that there is none.
	Index Index
	// Connections is how many are open at once; 0 is 4,096.
	Connections int
}

// Gateway answers HTTP requests. It is safe for concurrent use.
type Gateway struct {
	o       Options
	tenants *tenants
	status  *coalescingCache[starter.Ref, message.Status]
	pages   *coalescingCache[pageKey, message.Page]
	// exists finds out without a worker whether a batch exists.
	exists *coalescingCache[starter.Ref, struct{}]
	mux    *http.ServeMux
	// patterns are those that were registered, in their order.
	patterns []string
	// bodies bounds the bytes of tenants' requests, and callbacks those of delivery
	// reports that are being read.
	bodies, callbacks *bodyBudget
	// checking limits the callbacks that are looked through at once; waiting limits the
	// reports that were read and are not durable yet.
	checking, waiting *semaphore.Weighted
	logins            logins
	// giveUpAfter is leftWait, but for tests.
	giveUpAfter time.Duration
	// controls bounds the changes of one batch that are under way.
	controls keyedSemaphore[starter.Ref]
	// decoding bounds the large requests of one tenant that are decoded at once, so that it
	// leaves processors to others.
	decoding keyedSemaphore[string]
	// counting bounds the lists with counts of one tenant that are read at once.
	counting keyedSemaphore[string]
	// leaving is closed when the gateway is to end, so that streams do.
	leaving chan struct{}
}

// defaultBlueskyWait is Options.BlueskyWait where it is 0.
const defaultBlueskyWait = 25 * time.Second

// New returns a gateway.
func New(o Options) *Gateway {
	if o.BlueskyWait <= 0 {
		o.BlueskyWait = defaultBlueskyWait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	if o.Closed == nil {
		o.Closed = func() error { return nil }
	}
	if o.CountFailedLogin == nil {
		o.CountFailedLogin = func(string) {}
	}
	if o.ObserveReport == nil {
		o.ObserveReport = func(string) {}
	}
	if o.Audit == nil {
		o.Audit = audit.New(audit.Options{Log: o.Log, Now: o.Now})
	}
	o.Batches = watched{o.Batches, audit.Watch(o.Batches)}
	if o.CountReports == nil {
		o.CountReports = func(string, string, int) {}
	}
	g := &Gateway{
		o: o, giveUpAfter: leftWait, tenants: newTenants(o.Tenants), mux: http.NewServeMux(), leaving: make(chan struct{}),
		bodies: newBodyBudget(max(bodyBytes, 4*o.Limits.BodyBytes)), callbacks: newBodyBudget(callbackBytes),
		checking: semaphore.NewWeighted(maxChecking), waiting: semaphore.NewWeighted(maxWaiting),
	}
	g.decoding.most = max(1, runtime.GOMAXPROCS(0)/2)
	g.status = newCoalescingCache(o.Batches.Status)
	g.status.fresh = freshStatus
	g.pages = newCoalescingCache(func(ctx context.Context, k pageKey) (message.Page, error) {
		return o.Batches.Messages(ctx, k.Ref, k.PageQuery)
	})
	g.exists = newCoalescingCache(func(ctx context.Context, ref starter.Ref) (struct{}, error) {
		_, err := o.Batches.Accepted(ctx, ref)
		return struct{}{}, err
	})
	g.routes()
	return g
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := g.o.Now()
	rec := &recorder{ResponseWriter: w, ctl: http.NewResponseController(w)}
	if r.ContentLength != 0 {
		// Also of a body that nobody reads, which the server does before it answers.
		_ = rec.ctl.SetReadDeadline(time.Now().Add(bodyGrace)) // a test's recorder knows none
	}
	defer func() {
		p := recover()
		if p != nil && !rec.began() && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too
			g.o.Log.Error("a request failed", zap.String("route", r.Pattern), zap.Any("panic", p), zap.Stack("stack"))
			http.Error(rec, "internal error", http.StatusInternalServerError)
			p = nil
		}
		status := rec.status
		if status >= http.StatusInternalServerError && r.Context().Err() != nil {
			status = statusGone
		}
		g.o.Observe(r.Pattern, status, g.o.Now().Sub(began))
		if p != nil {
			panic(http.ErrAbortHandler) // what was begun must not look complete
		}
	}()
	g.mux.ServeHTTP(rec, r)
}

// statusGone is the status of an answer to a client that has hung up, as web servers
// count it. No client gets it.
const statusGone = 499

// Patterns lists what the gateway serves, as patterns of http.ServeMux.
func (g *Gateway) Patterns() []string { return g.patterns }

// recorder knows what was answered.
type recorder struct {
	http.ResponseWriter
	ctl    *http.ResponseController
	status int
	// code is that of a failure; empty is none.
	code string
}

func (r *recorder) began() bool { return r.status != 0 }

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write notes the status of an answer that gave none. A client that does not read for
// writeGrace is cut.
func (r *recorder) Write(p []byte) (int, error) {
	_ = r.ctl.SetWriteDeadline(time.Now().Add(writeGrace)) // a test's recorder knows none
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
