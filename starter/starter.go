package starter

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/closeout"
	"volley/starter/internal/large"
	"volley/starter/internal/reports"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// DefaultTenant is the tenant of callers that name none.
const DefaultTenant = message.DefaultTenant

// Options configure a Starter. The zero value is usable.
type Options struct {
	// Namespace is the client's; empty is "default". It is written to the store with
	// every large batch, so that a purge knows whose it is.
	Namespace string
	// DataConverter is the client's; nil is the SDK's default. It reads memos and
	// inputs, which the client hands over as they are stored.
	DataConverter converter.DataConverter
	// TaskQueue is the workflows' queue; empty is contract.TaskQueue.
	TaskQueue string
	// InFlight is how many attempts a batch has under way at most; 0 is 48.
	InFlight int
	// MaxMessages and MaxBytes bound a batch that runs without the store; 0 is
	// 1,000 messages and 1 MiB of encoded input.
	MaxMessages int
	MaxBytes    int
	// Store is where large batches are kept, the same as the workers'; it stays the
	// caller's to close. Nil is none: then large batches are refused.
	Store *store.Store
	// StoreURL names the store in errors, without credentials.
	StoreURL string
	// GroupAbove is from how many messages on a batch that asked for no dispatch is
	// dispatched in groups: those that have more. 0 is as message.Batch.DispatchFor decides.
	GroupAbove int
	// Rates are how many messages each account may send in a second, for estimates;
	// an account that is not there, or has 0, has no limit.
	Rates map[string]float64
	// ActionPrice is what a million actions of Temporal Cloud cost, in dollars; 0
	// leaves costs out of estimates.
	ActionPrice float64
	// ContentKey is the secret under which contents are compared, the same for all
	// that start batches in a namespace; empty is one that follows from the
	// namespace, and that everybody can work out. NoContent compares none.
	ContentKey []byte
	NoContent  bool
	// SearchMetadata are the metadata keys that VolleyMeta indexes. Others are refused in
	// lists, unless it is nil: then it is not known which there are.
	SearchMetadata []string
	// NoSummaries leaves out the line that each activity shows in the Web UI.
	NoSummaries bool
	// ReportLag is how long the list of batches may lag behind: a report counts as
	// unknown only after it. 0 is 3.5 s.
	ReportLag time.Duration
	// ReportGather is how long a Reporter gathers the reports of a batch; 0 is 1 s.
	ReportGather time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Wait is how long a worker may take to answer; 0 is 10 s.
	Wait time.Duration
	// Redial opens another connection to the same server, for asking again what had no
	// answer; the starter closes it. Nil is to ask on the client that there is.
	Redial func(context.Context) (client.Client, error)
	// TrackAnswers returns a context for calls of the client and of Redial's, and what
	// reports whether one of them left without an answer that says what became of it. Nil
	// is that every call counts as such that neither succeeds nor is refused.
	TrackAnswers func(context.Context) (context.Context, func() bool)
	// Traces makes spans of starts and of delivery reports; nil makes none, and batches
	// take the traces of their callers along all the same.
	Traces trace.TracerProvider
	// Log is where odd things are noted; nil is nowhere.
	Log *zap.Logger
}

// Bounds that Options leave to their defaults.
const (
	defaultInFlight    = 48
	defaultMaxMessages = 1000
	defaultMaxBytes    = 1 << 20
	defaultWait        = 10 * time.Second
	defaultLag         = 3500 * time.Millisecond
	defaultGather      = time.Second
)

const (
	// sameRate is how many searches a second are made beside starts, a burst of
	// sameBurst aside. A Temporal server answers ten questions about lists a second by
	// default, and delivery reports need them.
	sameRate  = 2
	sameBurst = 5
)

// Starter starts, reads and controls batches. It is safe for concurrent use.
type Starter struct {
	o        Options
	server   *server.Server
	large    *large.Reader
	closed   *closeout.Reader
	intake   *reports.Intake
	statuses *statusCache
	// repeats are starts whose callers were not told what became of them.
	repeats *repeats
	// sameLimiter bounds the searches for the same content beside starts.
	sameLimiter *rate.Limiter
	// unindexed is until when, in Unix ns, the server is taken for one that has no
	// search attribute for contents.
	unindexed atomic.Int64
}

// New returns a Starter on a client, which stays the caller's to close.
func New(c client.Client, o Options) *Starter {
	o.Namespace = cmp.Or(o.Namespace, client.DefaultNamespace)
	if len(o.ContentKey) == 0 {
		o.ContentKey = defaultContentKey(o.Namespace)
	}
	if o.DataConverter == nil {
		o.DataConverter = converter.GetDefaultDataConverter()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TaskQueue = cmp.Or(o.TaskQueue, contract.TaskQueue)
	o.InFlight = cmp.Or(max(o.InFlight, 0), defaultInFlight)
	o.MaxMessages = cmp.Or(max(o.MaxMessages, 0), defaultMaxMessages)
	o.MaxBytes = cmp.Or(max(o.MaxBytes, 0), defaultMaxBytes)
	o.Wait = cmp.Or(max(o.Wait, 0), defaultWait)
	o.ReportLag = cmp.Or(max(o.ReportLag, 0), defaultLag)
	o.ReportGather = cmp.Or(max(o.ReportGather, 0), defaultGather)
	o.Log = cmp.Or(o.Log, zap.NewNop())
	srv := server.New(server.Options{
		Client: c, Namespace: o.Namespace, DataConverter: o.DataConverter, Store: o.Store, Now: o.Now, Wait: o.Wait,
		Redial: o.Redial, TrackAnswers: o.TrackAnswers, Log: o.Log,
	})
	return &Starter{
		o: o, server: srv, large: large.NewReader(srv, o.Rates), closed: closeout.NewReader(srv),
		intake:   reports.NewIntake(srv, reports.Options{TaskQueue: o.TaskQueue, Lag: o.ReportLag, Gather: o.ReportGather, Traces: o.Traces}),
		statuses: newStatusCache(), repeats: newRepeats(o.Now), sameLimiter: rate.NewLimiter(sameRate, sameBurst),
	}
}

// defaultContentKey is the key of those who configure none. It keeps contents of one
// namespace from those of another, and no secret.
func defaultContentKey(namespace string) []byte {
	key := sha256.Sum256([]byte("volley content " + namespace))
	return key[:]
}
