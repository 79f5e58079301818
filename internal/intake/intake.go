package intake

import (
	"cmp"
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
	// MaxPriority is the best priority that a batch may ask for, 1 (any) to 5; 0 is any.
	MaxPriority int
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

	// Keys are its credentials.
	Keys []Key
	// Operator lets it hold whole accounts, everything and other tenants' messages.
	Operator bool
	// Dialects and Accounts it may use; nil is all.
	Dialects []string
	Accounts []string
	// Rate is the most submits a second at one gateway; 0 is no limit.
	Rate float64
	// ReadRate is the most reads a second at one gateway; 0 is no limit. A list with counts
	// is as many as it has batches.
	ReadRate float64
	// BirdWorkspaces and SinchProjects are the ids in paths that are its own; nil is
	// those of the accounts that it may use.
	BirdWorkspaces []string
	SinchProjects  []string
}

// Key is one credential of a caller.
type Key struct {
	// Name tells it from the caller's others, in logs.
	Name string
	// Hash is as HashKey makes it.
	Hash [sha256.Size]byte
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
	// Suppressed reports whether a tenant's messages to one of the addresses are not sent,
	// with phone numbers as those of a region; nil is nobody. Such a message is rejected, and
	// the others go on.
	Suppressed func(tenant, region string, addresses []string) bool
	// Unique says which messages count as the same, and whether later ones are dropped.
	Unique Unique
	// Size is how many bytes the request has, where that is known; 0 is that it is not.
	Size int64
}

// bufferBytes is the largest request that is decoded as a whole, whatever its
// format.
const bufferBytes = 4 << 20

// bufferMessages is the most messages that are decoded as a whole: each takes hundreds of
// bytes, and a row of CSV may have two.
const bufferMessages = 50_000

// Request is a request of which the first bytes have been read.
type Request struct {
	o      Options
	caller Caller
	limits Limits
	source *source
	// many means that the request is in memory and has too many messages to be decoded as
	// a whole.
	many bool
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
	if err := q.source.begin(limit); err != nil {
		return nil, err
	}
	q.many = q.source.whole && o.Dialect.Name == "volley" && dialect.HasMore(q.source.head, bufferMessages)
	return q, nil
}

// Dialect is the request's.
func (q *Request) Dialect() dialect.Dialect { return q.o.Dialect }

// IsBuffered reports whether the request is small enough to be decoded as a whole: then
// Buffered does, else Streamed.
func (q *Request) IsBuffered() bool { return q.source.whole && !q.many }

// Body is the request as received where all of it is in memory, and else nil.
func (q *Request) Body() []byte {
	if !q.source.whole {
		return nil
	}
	return q.source.body
}

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
// that was asked for or the recipient wants no messages. Such a message is rejected, and nothing is wrong with it.
func (o Options) LeftOut(p message.Problem) bool {
	return p.Code == message.CodeExcluded || p.Code == message.CodeSuppressed || p.Code == message.CodeDuplicate && o.Unique.Drop
}

// leavesOut reports whether the message with these problems is left out as asked.
func (o Options) leavesOut(problems message.Problems) bool {
	return len(problems) == 1 && o.LeftOut(problems[0])
}

// complete applies the options given beside the request, and the tenant's settings, to
// a batch. It returns the problems of the combination.
func (q *Request) complete(b *message.Batch) (problems message.Problems) {
	if best := q.caller.MaxPriority; b.Priority != 0 && b.Priority < best {
		problems.Add(message.WholeBatch, "priority", message.CodeRange, "tenant %s may ask for %d (first) to 5, got %d", q.caller.Tenant, best, b.Priority)
	}
	if b.Priority == 0 {
		b.Priority = q.caller.Priority
		q.caller.LowerPriority(b)
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

// LowerPriority gives a batch the best priority that the caller may ask for, where it has a
// better one.
func (c Caller) LowerPriority(b *message.Batch) {
	if cmp.Or(b.Priority, message.DefaultPriority) < c.MaxPriority {
		b.Priority = c.MaxPriority
	}
}

// AllowAgain says why the caller may not send what a batch has again, as it may send today;
// nil is that it may. Through is the account that it leaves through; empty is each of its
// hops. The batch gets the best priority that the caller may ask for, where it has a
// better one.
func (c Caller) AllowAgain(b *message.Batch, through string) error {
	if !c.UsesDialect(b.Dialect) {
		return fmt.Errorf("dialect %s is not one that tenant %s may use", b.Dialect, c.Tenant)
	}
	c.LowerPriority(b)
	switch {
	case c.Router == nil:
		return nil
	case through != "":
		return c.Router.Known(through)
	}
	for _, way := range b.Hops {
		for _, h := range way {
			if err := c.Router.Known(h.Account); err != nil {
				return fmt.Errorf("%w, and messages of the batch go through it: give another one", err)
			}
		}
	}
	return nil
}

// UsesDialect reports whether the caller may use a dialect.
func (c Caller) UsesDialect(name string) bool {
	return c.Dialects == nil || slices.Contains(c.Dialects, name)
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
// left out as asked, some of these since their recipients want no messages. That alone
// refuses nothing, so that such messages have a row.
func refusal(whole, strict bool, total, valid, excluded, suppressed int) error {
	wrong := total - valid - excluded
	switch {
	case whole:
		return &RefusalError{"the request is refused"}
	case suppressed > 0 && valid == 0 && wrong == 0:
		return nil
	case total > 0 && excluded == total:
		return &RefusalError{"every message is left out"}
	case total > 0 && valid == 0:
		return &RefusalError{"no message is valid"}
	case strict && wrong > 0:
		return &RefusalError{message.Plural(wrong, "message") + " " + message.Verb(wrong, "is", "are") + " rejected and the request is strict"}
	}
	return nil
}
