package console

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"iter"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// Batches is what the console does with batches; a starter.Starter is one.
type Batches interface {
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Messages(ctx context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error)
	Message(ctx context.Context, ref starter.Ref, idOrIndex string) (message.Row, error)
	Results(ctx context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error]
	List(ctx context.Context, q starter.ListQuery) (starter.Batches, error)
	Accounts(ctx context.Context, q starter.AccountsQuery) (starter.AccountList, error)
	Find(ctx context.Context, tenant, messageID string) (starter.Ref, error)
	// Accepted is a batch as it was accepted.
	Accepted(ctx context.Context, ref starter.Ref) (*message.Batch, error)
	audit.Changes
}

// Index is what the console reads across batches; an index.Index is one.
type Index interface {
	Find(ctx context.Context, q index.FindQuery) (index.FindPage, error)
	Stats(ctx context.Context, q index.StatsQuery) ([]index.Stat, error)
	Batches(ctx context.Context, q index.BatchesQuery) (index.BatchPage, error)
	Audit(ctx context.Context, q index.AuditQuery) ([]index.AuditEntry, string, error)
}

// Options say what a console shows, and to whom. Batches must be set.
type Options struct {
	Batches Batches
	// Index is nil where there is none: then what needs one says so.
	Index Index
	// Persons is what is done about one person; nil where there is no index.
	Persons Persons
	// Suppressed reports at acceptance whether a tenant's messages to one of the addresses
	// are not sent, with phone numbers as those of a region; nil is nobody.
	Suppressed func(tenant, region string, addresses []string) bool
	// People may log in. Open lets everybody in who reaches the console, as an operator.
	People *access.Book
	Open   bool
	// Hosts are the names under which the console answers beside localhost and addresses.
	Hosts []string
	// Callers are the tenants whose batches there are, the first one where nobody says which.
	Callers []intake.Caller
	// Accounts are those of the configuration.
	Accounts []starter.AccountOf
	Limits   intake.Limits
	// Estimates are what the end of a batch is foretold from before it starts.
	Estimates intake.Estimates
	// ConfirmAbove is from how many messages on their number has to be typed in before they
	// leave: where there are more; 0 is any number.
	ConfirmAbove int
	// SearchMetadata are the keys that batches are found by; the first one is what pages
	// call a batch.
	SearchMetadata []string
	// Audit gets a line for each action; nil is none.
	Audit *audit.Log
	// Zone is that of times until a browser has told its own; nil is UTC.
	Zone *time.Location
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Every is how often a stream renders its page; 0 is 2 s.
	Every time.Duration
	// Log is where failures are noted; nil is nowhere.
	Log *zap.Logger
}

// Console is the HTTP server of the pages.
type Console struct {
	o   Options
	mux *http.ServeMux
	// changes are those of Options.Batches, noted in the audit record of each request.
	changes audit.Changes
	pages   map[string]*page
	// statuses and snapshots keep what several pages ask for at the same time.
	statuses  *shortCache[starter.Ref, message.Status]
	snapshots *shortCache[struct{}, *snapshot]
	history   history
	logins    logins
	// patterns lists what is served.
	patterns []string
	// leaving is closed when the console is to end, so that streams do.
	leaving chan struct{}
}

//go:embed assets
var assets embed.FS

// Freshness of what is read for pages.
const (
	everyDefault   = 2 * time.Second
	statusFor      = 900 * time.Millisecond
	snapshotFor    = 1500 * time.Millisecond
	snapshotWithin = 8 * time.Second
)

// New returns a console.
func New(o Options) *Console {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Audit == nil {
		o.Audit = audit.New(audit.Options{Log: o.Log, Now: o.Now})
	}
	if len(o.Callers) == 0 {
		o.Callers = []intake.Caller{{Tenant: starter.DefaultTenant}}
	}
	o.Every = cmp.Or(o.Every, everyDefault)
	c := &Console{o: o, mux: http.NewServeMux(), changes: audit.Watch(o.Batches), leaving: make(chan struct{})}
	c.pages = parsePages()
	c.statuses = newShortCache(statusFor, o.Now, o.Batches.Status)
	c.snapshots = newShortCache(snapshotFor, o.Now, func(ctx context.Context, _ struct{}) (*snapshot, error) { return c.takeSnapshot(ctx), nil })
	c.routes()
	return c
}

// Patterns lists what the console serves, as patterns of http.ServeMux.
func (c *Console) Patterns() []string { return c.patterns }

// ServeHTTP answers one request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so too
			c.o.Log.Error("a page failed", zap.String("route", r.Pattern), zap.Any("panic", p), zap.Stack("stack"))
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}()
	secure(w.Header())
	if !c.isOwnHost(r) {
		http.Error(w, fmt.Sprintf("the console does not answer under the name %q: use localhost or an address, or name it with --console-host", message.Clip(r.Host, 100)), http.StatusMisdirectedRequest)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// secure sets the headers that every answer has: nothing but the console's own files is
// loaded, nobody frames it, and nothing of it stays in a cache.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer browsers send forms without their origin
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// Bounds of the HTTP server.
const (
	headerWait = 10 * time.Second
	idleWait   = 2 * time.Minute
	leaveWait  = 5 * time.Second
	maxHeader  = 64 << 10
)

// Serve answers what comes in at l until ctx ends; then requests under way have 5 s to end.
// It is called once, and closes l.
func (c *Console) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: c, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader, ErrorLog: zap.NewStdLog(c.o.Log.Named("http"))}
	s.RegisterOnShutdown(func() { close(c.leaving) })
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	c.o.Log.Info("console serves", zap.String("address", l.Addr().String()))
	select {
	case err := <-failed:
		return fmt.Errorf("console: %w", err)
	case <-ctx.Done():
	}
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	if err := s.Shutdown(lctx); err != nil {
		_ = s.Close() // what is cut is a page
	}
	return nil
}
