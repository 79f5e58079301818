package intake

import (
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
	// Region is where phone numbers without a country code are written, unless a
	// request says otherwise, as phone.Region returns it; empty is nowhere.
	Region string
	// MaySetSender allows imkit requests to name a sender.
	MaySetSender bool
	// Callbacks is where events of the caller's batches go, unless a request says
	// otherwise; nil is nowhere.
	Callbacks *message.Callbacks
	// HasCallbackSecret is true where there is a secret to sign callbacks with. Without one a
	// request cannot ask for any.
	HasCallbackSecret bool

	// The rest is what the gateway lets it do.

	// Keys are the hashes of its credentials, as HashKey makes them.
	Keys [][sha256.Size]byte
	// Operator lets it hold whole accounts, everything and other tenants' messages.
	Operator bool
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
	// Dispatch is "auto", "message", "group", or empty for what the request says.
	Dispatch string
	// Strict refuses the whole request for one message with a problem.
	Strict bool
	// WellFormed does the same for one that is malformed. A message that lacks a
	// parameter, has no way out or a recipient that cannot be reached is rejected alone.
	WellFormed bool
	// Exclude are recipients whose messages are left out; nil is none.
	Exclude *Exclusion
	// Unique says which messages count as the same, and whether later ones are dropped.
	Unique Unique
	// Size is how many bytes the request has, where that is known; 0 is that it is not.
	Size int64
}

// bufferBytes is the largest request that is decoded as a whole, whatever its
// format.
const bufferBytes = 4 << 20

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
	o.TakeCallbacks = c.HasCallbackSecret
	q := &Request{o: o, caller: c, limits: l, source: newSource(r)}
	limit := min(bufferBytes, l.BodyBytes)
	if o.Size > limit {
		limit = min(limit, firstHead) // it is not whole anyway
	}
	return q, q.source.begin(limit)
}

// Dialect is the request's.
func (q *Request) Dialect() dialect.Dialect { return q.o.Dialect }

// IsBuffered reports whether the whole request is in memory: then Buffered decodes it,
// else Streamed does.
func (q *Request) IsBuffered() bool { return q.source.whole }

// IsCSV reports whether the request is in the one format that has no header of its
// own, so that flags stand for it.
func (q *Request) IsCSV() bool {
	c, ok := dialect.FirstByte(q.source.head)
	return q.o.Dialect.Name == "volley" && ok && c != '{' && c != '['
}

// IsEmpty reports whether there is nothing in the request but space.
func (q *Request) IsEmpty() bool {
	_, ok := dialect.FirstByte(q.source.head)
	return !ok
}

// allOrNothing is true for a bluesky call: it is refused also where an item has
// no way out.
func (q *Request) allOrNothing() bool { return q.o.Dialect.Name == "bluesky" }

// refuses reports whether the problems of one message refuse the whole request.
func (o Options) refuses(problems message.Problems) bool {
	malformed := func(p message.Problem) bool {
		return p.Code != message.CodeParameter && p.Code != message.CodeUnroutable && p.Code != message.CodeRecipient && !o.LeftOut(p)
	}
	return o.WellFormed && slices.ContainsFunc(problems, malformed)
}

// LeftOut reports whether a problem only says that its message is left out, because
// that was asked for. Such a message is rejected, and nothing is wrong with it.
func (o Options) LeftOut(p message.Problem) bool {
	return p.Code == message.CodeExcluded || p.Code == message.CodeDuplicate && o.Unique.Drop
}

// leavesOut reports whether the message with these problems is left out as asked.
func (o Options) leavesOut(problems message.Problems) bool {
	return len(problems) == 1 && o.LeftOut(problems[0])
}

// complete applies the options given beside the request, and the tenant's settings, to
// a batch. It returns the problems of the combination.
func (q *Request) complete(b *message.Batch) (problems message.Problems) {
	if b.Priority == 0 {
		b.Priority = q.caller.Priority
	}
	if b.Region == "" {
		b.Region = q.caller.Region
	}
	if q.o.Dispatch != "" {
		b.Dispatch = q.o.Dispatch
	}
	if q.caller.Router != nil && b.Account != "" {
		if err := q.caller.Router.Known(b.Account); err != nil {
			problems.Add(message.WholeBatch, "account", message.CodeUnroutable, err.Error())
		}
	}
	if e := q.o.Exclude; e != nil && e.regional && e.Region != b.Region {
		problems.Add(message.WholeBatch, "defaultRegion", message.CodeConflict,
			"the exclusion list has numbers without a country code, and they were read as those of %q; write them with +, or give the region beside the request", e.Region)
	}
	return append(problems, q.completeCallbacks(b)...)
}

// completeCallbacks decides where the events of a batch go, and in which form.
func (q *Request) completeCallbacks(b *message.Batch) (problems message.Problems) {
	own, tenant := b.Callbacks, q.caller.Callbacks
	switch {
	case own == nil && tenant == nil:
		return nil
	case own != nil && q.caller.Router != nil && !q.caller.HasCallbackSecret:
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

// refusal decides on a request of total messages, of which some are valid and some
// left out as asked.
func refusal(whole, strict bool, total, valid, excluded int) error {
	wrong := total - valid - excluded
	switch {
	case whole:
		return &RefusalError{"the request is refused"}
	case total > 0 && excluded == total:
		return &RefusalError{"every message is left out"}
	case total > 0 && valid == 0:
		return &RefusalError{"no message is valid"}
	case strict && wrong > 0:
		is := "messages are"
		if wrong == 1 {
			is = "message is"
		}
		return &RefusalError{fmt.Sprintf("%d %s rejected and the request is strict", wrong, is)}
	}
	return nil
}
