package starter

import (
	"errors"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/message"
)

// Errors that callers tell apart. They come wrapped with what was asked for.
var (
	// ErrNotFound: no such batch or message; nothing was done.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a batch with this id and other content is there.
	ErrConflict = errors.New("a batch with this id and other content exists")
	// ErrUnreachable: Temporal did not answer.
	ErrUnreachable = errors.New("temporal is not reachable")
	// ErrNoWorker: no worker answered within ten seconds.
	ErrNoWorker = errors.New("no worker answered within 10s")
	// ErrEnded: the batch has ended, so that there is nothing to control.
	ErrEnded = errors.New("the batch has ended")
	// ErrInvalid: an argument makes no sense (a bad id, time, state, cursor).
	ErrInvalid = errors.New("invalid")
)

// DefaultTenant is the tenant of callers that name none.
const DefaultTenant = "default"

// Options configure a Starter. The zero value is usable.
type Options struct {
	// TaskQueue is the workflows' queue; empty is workflows.TaskQueue.
	TaskQueue string
	// InFlight is how many attempts a batch has under way at most; 0 is 48.
	InFlight int
	// MaxMessages and MaxBytes bound a batch that runs without the store; 0 is
	// 1,000 messages and 1 MiB of encoded input.
	MaxMessages int
	MaxBytes    int
	// SearchMetadata are the metadata keys that VolleyMeta indexes.
	SearchMetadata []string
	// NoSummaries leaves out the line that each activity shows in the Web UI.
	NoSummaries bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where odd things are noted; nil is nowhere.
	Log *zap.Logger
}

// Starter starts, reads and controls batches.
type Starter struct {
	c client.Client
	o Options
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
// failed, expired and unknown.
type RedriveQuery struct {
	States []string
	Code   string
	// ID is the new batch's id; empty is a generated one.
	ID string
}
