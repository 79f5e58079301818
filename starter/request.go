package starter

import (
	"context"
	"time"

	"volley/internal/message"
)

// Same is a batch that has the content of another: the same recipients and texts,
// whatever else is different.
type Same struct {
	ID string
	// At is when its first message was due, or will be.
	At time.Time
}

// Proposal is a batch that is about to start.
type Proposal struct {
	ID string
	// Total counts its messages, and Rejected those of them that do not go out.
	Total, Rejected int
	// Due is when its first message may go out.
	Due time.Time
	// Header is all but the messages, and First the first one that is not rejected.
	Header *message.Batch
	First  message.Message
	// Estimate foretells a large batch; nil is a small one.
	Estimate *message.Estimate
	// Same is the latest batch with the same content that went out within a day, at
	// least in part, or is still to end; nil is none. SameErr is why that is not
	// known, a *MissingAttributesError on a server that cannot be asked.
	Same    *Same
	SameErr error
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
	// Ask is told of the batch once all of it is known and before it starts. An error
	// keeps it from starting, and is returned as it is. It is not asked where the
	// batch is there already. Nil starts without asking.
	Ask func(ctx context.Context, p *Proposal) error
	// SameWithin is for how long another batch with the same content is looked for
	// beside the start of one of 100 messages or more, which it delays by no more than
	// that; 0 is not at all. Of many starts at a time only some are looked for. With
	// Ask it is looked for before the start, whatever the number of messages.
	SameWithin time.Duration
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
	// Content is the hash of what a repeat must share.
	Content string `json:"-"`
	// Unopened means that no worker has taken up a large batch within ten seconds
	// (Options.Wait); it waits for one.
	Unopened bool `json:"unopened,omitempty"`
	// Estimate foretells a large batch that this call started.
	Estimate *message.Estimate `json:"estimate,omitempty"`
	// Same is another batch with the same content; nil is none, or that it is not known
	// or was not asked for.
	Same *Same `json:"-"`
	// Redriven says what a redrive left out; nil is no redrive.
	*Redriven
}

// Redriven is what a redrive says beside its new batch.
type Redriven struct {
	// Unknown is how many messages are left out since they may have arrived, whichever other
	// states were asked for; 0 where unknown was.
	Unknown int `json:"unknown"`
	// AlreadyRedriven is how many are left out since other redrives have taken them.
	AlreadyRedriven int `json:"alreadyRedriven"`
	// Doubtful is how many of the new batch may have arrived before.
	Doubtful int `json:"-"`
}

// ListQuery selects batches. Limit 0 is 20.
type ListQuery struct {
	Tenant string
	// State is one state or several with commas between them.
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

// ResultQuery selects rows of a batch. State is as message.ParseStates reads it;
// what is empty selects all.
type ResultQuery struct {
	State string
	Code  string
	message.Selector
}

// RedriveQuery selects the messages of a batch to send again. Empty States are failed and
// expired, and canceled where Temporal ended the batch; unknown, canceled and undelivered
// may be asked for too. Each is one that message.ParseStates reads; not-sent and
// not-delivered leave out the rejected, which cannot be sent again as they are.
type RedriveQuery struct {
	States []string
	message.Selector
	// SendAfter is when the messages are due; a time in the past is at once. Zero is at
	// once, too, but for messages that are due later than now. It does not decide which
	// batch is meant: asking again with another time answers with the batch that is there,
	// at the time that it has.
	SendAfter time.Time
	// Code keeps only messages that ended with this code; empty keeps all.
	Code string
	// ID is the new batch's id; empty is one that follows from the query.
	ID string
	// Again takes messages also where a redrive before has taken them.
	Again bool
	// Through is an account through which all messages go instead of the old batch's
	// hops; empty is those. Reroute then gives the messages of the new batch, one by one
	// and by their indexes in it, their ways as acceptance does.
	Through string
	Reroute func(b *message.Batch) func(i int, m *message.Message)
	// Allow is told of the new batch, which has no messages yet and the old one's hops, before
	// anything is taken. An error keeps it from starting, and is returned as it is. It may
	// change the batch's priority. Nil allows it as it is. A batch that is there already is
	// not asked about.
	Allow func(b *message.Batch) error
	// Ask is Request's; nothing is said of batches with the same content, since a
	// redrive repeats on purpose.
	Ask func(ctx context.Context, p *Proposal) error
}
