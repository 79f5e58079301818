package starter

import (
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
)

// Errors that callers tell apart. They come wrapped with what was asked for.
var (
	// ErrNotFound: no such batch or message; nothing was done.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a batch with this id and other content is there.
	ErrConflict = errors.New("a batch with this id and other content exists")
	// ErrUnreachable: Temporal did not answer.
	ErrUnreachable = errors.New("temporal is not reachable")
	// ErrNoWorker: Temporal answers, but no worker did within ten seconds
	// (Options.Wait).
	ErrNoWorker = errors.New("no worker answered in time")
	// ErrEnded: the batch has ended, so that there is nothing to control.
	ErrEnded = errors.New("the batch has ended")
	// ErrRuns: the batch still runs, which keeps it from being deleted or redriven.
	ErrRuns = errors.New("the batch still runs")
	// ErrLingers: the batch is deleted, and Temporal has yet to forget it. Until then its
	// id is not free.
	ErrLingers = errors.New("temporal takes longer to forget it")
	// ErrInvalid: an argument makes no sense (a bad id, time, state, cursor).
	ErrInvalid = errors.New("invalid")
	// ErrRefused: the batch cannot do what was asked for as it stands, or not that much of
	// it. The error says why, and what can be done instead.
	ErrRefused = errors.New("the batch refuses it")
	// ErrStore: the store of large batches cannot be read or written now. That something
	// is not in it, or damaged, is another error.
	ErrStore = errors.New("the store does not answer")
	// ErrStoreNotShared: the worker does not see the store that large batches are
	// written to. Nothing was started.
	ErrStoreNotShared = errors.New("the store is not shared")
	// ErrNoStore: a report came after its batch had ended, and there is no store to
	// keep it in.
	ErrNoStore = errors.New("there is no store to keep late reports in")
)

// DefaultTenant is the tenant of callers that name none.
const DefaultTenant = message.DefaultTenant

// Options configure a Starter. The zero value is usable.
type Options struct {
	// Namespace is the client's; empty is "default". Only Missing and Setup need
	// it, all else goes through the client.
	Namespace string
	// DataConverter is the client's; nil is the SDK's default. It reads memos and
	// inputs, which the client hands over as they are stored.
	DataConverter converter.DataConverter
	// TaskQueue is the workflows' queue; empty is workflows.TaskQueue.
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
	// dispatched in groups: those that have more. 0 is never.
	GroupAbove int
	// Rates are how many messages each account may send in a second, for estimates;
	// an account that is not there, or has 0, has no limit.
	Rates map[string]float64
	// ActionPrice is what a million actions of Temporal Cloud cost, in dollars; 0
	// leaves costs out of estimates.
	ActionPrice float64
	// SearchMetadata are the metadata keys that VolleyMeta indexes.
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

// Starter starts, reads and controls batches. It is safe for concurrent use.
type Starter struct {
	c client.Client
	o Options
	// stood is how batches stood when they were last asked.
	stood *lru.Cache[Ref, standing]
	// heard is what running segments of large batches said.
	heard heard
	// home are batches that reports were for.
	home homes
}

// New returns a Starter on a client, which stays the caller's to close.
func New(c client.Client, o Options) *Starter {
	if o.Namespace == "" {
		o.Namespace = client.DefaultNamespace
	}
	if o.DataConverter == nil {
		o.DataConverter = converter.GetDefaultDataConverter()
	}
	if o.TaskQueue == "" {
		o.TaskQueue = workflows.TaskQueue
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.MaxMessages <= 0 {
		o.MaxMessages = defaultMaxMessages
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.ReportLag <= 0 {
		o.ReportLag = defaultLag
	}
	if o.ReportGather <= 0 {
		o.ReportGather = defaultGather
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Starter{c: c, o: o}
	s.stood, _ = lru.New[Ref, standing](maxStandings) // fails below 1
	s.heard.said, _ = lru.New[string, heardStatus](maxHeard)
	return s
}

// Ref names a batch of a tenant. An empty Tenant is DefaultTenant.
type Ref struct {
	Tenant string
	ID     string
}

// Request asks for a batch to be started. Batch is decoded and accepted
// (message.Router) already; the other fields are what the same content means.
type Request struct {
	Ref
	// IdempotencyKey derives the id when Ref.ID is empty.
	IdempotencyKey string
	// Body is the request as received. With Flags, the dialect and the tenant it
	// makes up the content that a repeat must match.
	Body []byte
	// Flags are the caller's other choices as given: account, send-after, ttl,
	// dispatch, strict.
	Flags map[string]string
	Batch *message.Batch
}

// Started says which batch a request became.
type Started struct {
	ID       string           `json:"id"`
	Total    int              `json:"total"`
	Rejected int              `json:"rejected"`
	Existing bool             `json:"existing"`
	Problems message.Problems `json:"problems"`
	// SendAfter is the batch's own due time as the first call resolved it.
	SendAfter *time.Time `json:"-"`
	RedriveOf string     `json:"redriveOf,omitempty"`
	// Segments is how many segments a large batch has; 0 is a small batch.
	Segments int `json:"segments,omitempty"`
	// Estimate foretells a large batch that this call started.
	Estimate *message.Estimate `json:"estimate,omitempty"`
}

// ListQuery selects batches. Limit 0 is 20.
type ListQuery struct {
	Tenant  string
	State   string
	Dialect string
	// Meta is key=value.
	Meta   string
	Limit  int
	Cursor string
	// Counts asks every open batch for its counts.
	Counts bool
}

// Batches is a page of batches, newest first; Next is empty on the last page.
type Batches struct {
	Batches []message.Status `json:"batches"`
	Next    string           `json:"next"`
}

// ResultQuery selects rows of a batch; an empty State is all.
type ResultQuery struct {
	State string
}

// RedriveQuery selects the messages of a batch to send again. Empty States are
// failed, expired and unknown; canceled and undelivered may be asked for too.
type RedriveQuery struct {
	States []string
	// Code keeps only messages that ended with this code; empty keeps all.
	Code string
	// ID is the new batch's id; empty is one that follows from the query, so that
	// asking again answers with the batch that is there.
	ID string
}
