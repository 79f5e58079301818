package intake

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"volley/internal/dialect"
	"volley/internal/message"
)

// Caller is whose request it is, and what the configuration lets it do.
type Caller struct {
	Tenant string
	// Router decides the ways of messages; nil leaves routing unchecked.
	Router *message.Router
	// Priority is that of batches which give none, 1 (first) to 5; 0 is the default.
	Priority int
	// MaySetSender allows imkit requests to name a sender.
	MaySetSender bool
	// Callbacks is where events of the caller's batches go, unless a request says
	// otherwise; nil is nowhere.
	Callbacks *message.Callbacks
	// Signs is true where there is a secret to sign callbacks with. Without one a
	// request cannot ask for any.
	Signs bool

	// The rest is what the gateway lets it do.

	// Keys are the hashes of its credentials, as HashKey makes them.
	Keys [][sha256.Size]byte
	// Dialects and Accounts it may use; nil is all.
	Dialects []string
	Accounts []string
	// Rate is the most submits a second at one gateway; 0 is no limit.
	Rate float64
	// BirdWorkspaces and SinchProjects are the ids in paths that are its own; nil is
	// those of the accounts that it may use.
	BirdWorkspaces []string
	SinchProjects  []string
}

// HashKey is how a credential is kept in memory.
func HashKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// Limits bound every request.
type Limits struct {
	// BodyBytes is the largest request that cannot be read bit by bit; it must be
	// above 0. Volley's own JSON lines and CSV have no such limit here.
	BodyBytes int64
	// IMKITParas and Messages are dialect.Options' IMKITParas and MaxMessages.
	IMKITParas, Messages int
}

// Options are what is asked for beside the request itself. Now and Dialect must be
// set.
type Options struct {
	dialect.Options
	Dialect dialect.Dialect
	// Dispatch is "message", "group", or empty for what the request says.
	Dispatch string
	// Strict refuses the whole request for one message with a problem.
	Strict bool
	// WellFormed does the same for one that is malformed. A message that lacks a
	// parameter, or has no way out, is rejected alone.
	WellFormed bool
	// Size is how many bytes the request has, where that is known; 0 is that it is not.
	Size int64
}

// wholeBytes is the largest request that is decoded as a whole, whatever its
// format.
const wholeBytes = 4 << 20

// Request is a request of which the first bytes have been read.
type Request struct {
	o      Options
	caller Caller
	limits Limits
	source *source
}

// Open reads the first bytes of a request. The error is that of r.
func Open(r io.Reader, c Caller, l Limits, o Options) (*Request, error) {
	o.MaySetSender, o.IMKITParas, o.MaxMessages = c.MaySetSender, l.IMKITParas, l.Messages
	o.TakeCallbacks = c.Signs
	q := &Request{o: o, caller: c, limits: l, source: newSource(r)}
	limit := min(wholeBytes, l.BodyBytes)
	if o.Size > limit {
		limit = min(limit, firstHead) // it is not whole anyway
	}
	return q, q.source.begin(limit)
}

// Dialect is the request's.
func (q *Request) Dialect() dialect.Dialect { return q.o.Dialect }

// Small reports whether the request is in memory as a whole: then Whole decodes
// it, else Incoming does.
func (q *Request) Small() bool { return q.source.whole }

// IsCSV reports whether the request is in the one format that has no header of its
// own, so that flags stand for it.
func (q *Request) IsCSV() bool {
	text := q.begins()
	return q.o.Dialect.Name == "volley" && len(text) > 0 && text[0] != '{' && text[0] != '['
}

// IsEmpty reports whether there is nothing in the request but space.
func (q *Request) IsEmpty() bool { return len(q.begins()) == 0 }

// begins is the first text of the request.
func (q *Request) begins() []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(q.source.head, []byte("\ufeff")))
}

// allOrNothing is true for a bluesky call: it is refused also where an item has
// no way out.
func (q *Request) allOrNothing() bool { return q.o.Dialect.Name == "bluesky" }

// refuses reports whether the problems of one message refuse the whole request.
func (o Options) refuses(problems message.Problems) bool {
	malformed := func(p message.Problem) bool {
		return p.Code != message.CodeParameter && p.Code != message.CodeUnroutable
	}
	return o.WellFormed && slices.ContainsFunc(problems, malformed)
}

// complete lays what was asked for beside the request, and the tenant's settings,
// over a batch. It returns what is wrong with the two together.
func (q *Request) complete(b *message.Batch) message.Problems {
	if b.Priority == 0 {
		b.Priority = q.caller.Priority
	}
	if q.o.Dispatch != "" {
		b.Dispatch = q.o.Dispatch
	}
	return q.completeCallbacks(b)
}

// completeCallbacks decides where the events of a batch go, and in which form.
func (q *Request) completeCallbacks(b *message.Batch) (problems message.Problems) {
	own, tenant := b.Callbacks, q.caller.Callbacks
	switch {
	case own == nil && tenant == nil:
		return nil
	case own != nil && q.caller.Router != nil && !q.caller.Signs:
		problems.Add(message.WholeBatch, own.Path, message.CodeConflict,
			"callbacks are signed, and tenant %s has no secret for them in the configuration", q.caller.Tenant)
		return problems
	}
	var merged message.Callbacks
	if tenant != nil {
		merged = *tenant
	}
	if own != nil {
		merged.Messages = merged.Messages || own.Messages
		if own.URL != "" {
			merged.URL = own.URL
		}
	}
	if merged.URL == "" { // the tenant has a secret and no address
		b.Callbacks = nil
		return nil
	}
	if merged.Format == "" {
		merged.Format = message.CallbackFormat(b.Dialect)
	}
	merged.Path = ""
	b.Callbacks = &merged
	return nil
}

// RefusalError means that a request has problems that keep all of it from starting.
type RefusalError struct{ why string }

func (e *RefusalError) Error() string { return e.why + ", nothing was started" }

func refusal(whole, strict bool, total, valid int) error {
	switch {
	case whole:
		return &RefusalError{"the request is refused"}
	case total > 0 && valid == 0:
		return &RefusalError{"no message is valid"}
	case strict && valid < total:
		is := "messages are"
		if total-valid == 1 {
			is = "message is"
		}
		return &RefusalError{fmt.Sprintf("%d %s rejected and the request is strict", total-valid, is)}
	}
	return nil
}
