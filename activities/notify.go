package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/callback"
	"volley/internal/message"
	"volley/workflows/contract"
)

// Changes reads how batches stand; *starter.Changes is one.
type Changes interface {
	// Status and Messages are as the starter's. ErrNoBatch is for a batch that is not
	// there any more.
	Status(ctx context.Context, tenant, id string) (message.Status, error)
	Messages(ctx context.Context, tenant, id string, q message.PageQuery) (message.Page, error)
	// Asked opens a batch's request. What it returns reads the message with an index;
	// below 0 it reads the template alone.
	Asked(ctx context.Context, tenant, id string) (func(ctx context.Context, index int) (message.Template, message.Message, error), error)
}

// Poster posts an event once; *callback.Poster is one.
type Poster interface {
	// Wants reports whether a tenant is told of events of a type.
	Wants(tenant, typ string) bool
	Post(ctx context.Context, tenant string, to message.Callbacks, e callback.Event) *callback.Failure
}

// ErrNoBatch means that a batch is not there any more.
var ErrNoBatch = errors.New("the batch is not there")

// errNoCallbacks is an error, so that the activity is tried again elsewhere.
var errNoCallbacks = errors.New("this worker delivers no callbacks")

const (
	// deliverFor is how long one activity begins new requests.
	deliverFor = 20 * time.Second
	// Reading takes at most a tenth of the time in a large batch.
	readShare   = 10
	restAtLeast = 2 * time.Second
	restAtMost  = 30 * time.Second
)

// Deliver tells a batch's events in the order of their changes, one request at a
// time, until all are told, some 20 s are over or one was not accepted. The result
// says how far it got. An error means that the batch could not be read, or that this
// worker delivers no callbacks.
//
// An event that was told by an attempt of this activity whose result got lost is told
// again, with the same id.
func (a *Activities) Deliver(ctx context.Context, in contract.DeliverInput) (contract.DeliverResult, error) {
	if a.changes == nil || a.poster == nil {
		return contract.DeliverResult{V: message.Version}, errNoCallbacks
	}
	d := &delivery{
		DeliverInput: in, changes: a.changes, poster: a.poster, now: a.serverNow, ends: a.serverNow().Add(deliverFor),
		res: contract.DeliverResult{V: message.Version, Cursor: in.Cursor},
	}
	var before contract.DeliverResult
	if activity.GetHeartbeatDetails(ctx, &before) == nil && before.V == message.Version {
		d.res = before
	}
	d.count = func(outcome string) {
		activity.GetMetricsHandler(ctx).WithTags(map[string]string{"outcome": outcome, "format": in.Callbacks.Format}).
			Counter("volley_callbacks").Inc(1)
	}
	switch err := d.tell(ctx); {
	case errors.Is(err, ErrNoBatch):
		activity.GetLogger(ctx).Info("callbacks end with a batch that is not there any more")
		d.res.Ended = true
	case err != nil && !errors.Is(err, errStop):
		return d.res, err
	}
	return d.res, nil
}

// errStop ends a delivery whose result says why.
var errStop = errors.New("stop")

// delivery is one activity's work.
type delivery struct {
	contract.DeliverInput
	changes Changes
	poster  Poster
	now     func() time.Time
	ends    time.Time
	took    time.Duration // to read messages
	count   func(outcome string)
	asked   func(ctx context.Context, index int) (message.Template, message.Message, error)
	res     contract.DeliverResult
}

// tell goes through the batch's changes until there are none left.
func (d *delivery) tell(ctx context.Context) error {
	c := &d.res.Cursor
	for {
		activity.RecordHeartbeat(ctx, d.res)
		st, err := d.changes.Status(ctx, d.Tenant, d.ID)
		if err != nil {
			return err
		}
		until := d.until(st)
		if err := d.tellState(ctx, st); err != nil {
			return err
		}
		if d.wants() && (until > c.Rev || c.Until > 0) {
			if err := d.tellMessages(ctx, st, until); err != nil {
				return err
			}
		}
		if c.Rev < st.Rev && until > c.Rev && d.wants() {
			continue // what changed while a walk begun earlier went on
		}
		if !st.State.Closed() {
			d.rest(st, until)
			return nil
		}
		if err := d.tellChange(ctx, st); err != nil {
			return err
		}
		d.res.Ended = true
		return nil
	}
}

// rest says when to look again.
func (d *delivery) rest(st message.Status, until int64) {
	if !d.wants() {
		return
	}
	if d.walks() {
		d.res.After = min(max(readShare*d.took, restAtLeast), restAtMost).Milliseconds()
	}
	if until < st.Rev {
		d.res.Again, d.res.After = true, max(d.res.After, message.RevsSettle.Milliseconds())
	}
}

// until is the rev up to which nothing can change any more. A closed batch changes by
// reports that come late.
func (d *delivery) until(st message.Status) int64 {
	if st.State.Closed() && !d.walks() {
		return math.MaxInt64
	}
	return st.SettledRev(d.now())
}

// walks reports whether messages are told page by page, as they lie in the store.
func (d *delivery) walks() bool { return d.Total > callback.Few }

// wants reports whether there are message events at all.
func (d *delivery) wants() bool {
	return (!d.walks() || d.Callbacks.Messages) && slices.ContainsFunc(message.States(), d.tells)
}

// tells reports whether there is an event for messages in a state.
func (d *delivery) tells(s message.State) bool {
	return s.Final() && d.poster.Wants(d.Tenant, callback.TypeOfMessage(s))
}

// tellMessages tells of the messages that have ended, or changed after that, up to
// a rev.
func (d *delivery) tellMessages(ctx context.Context, st message.Status, until int64) error {
	if d.walks() {
		return d.walk(ctx, st, until)
	}
	c := &d.res.Cursor
	var rows []message.Row
	for q, more := (message.PageQuery{Since: c.Rev}), true; more; more = q.Cursor != "" {
		some, next, err := d.read(ctx, q, until)
		if err != nil {
			return err
		}
		rows, q.Cursor = append(rows, some...), next
	}
	slices.SortFunc(rows, func(a, b message.Row) int { return cmp.Compare(a.Rev, b.Rev) })
	for i, row := range rows {
		if err := d.post(ctx, callback.MessageEvent(st, row), row.Index); err != nil {
			return err
		}
		// Messages of different segments may have the same rev.
		if i+1 == len(rows) || rows[i+1].Rev > row.Rev {
			c.Rev = row.Rev
		}
	}
	c.Rev = min(max(c.Rev, st.Rev), until)
	return nil
}

// read reads a page, and returns the messages with a rev up to until of which there is
// something to tell.
func (d *delivery) read(ctx context.Context, q message.PageQuery, until int64) (rows []message.Row, next string, err error) {
	began := d.now()
	defer func() { d.took += d.now().Sub(began) }()
	q.Limit = message.MaxPage
	page, err := d.changes.Messages(ctx, d.Tenant, d.ID, q)
	return slices.DeleteFunc(page.Messages, func(r message.Row) bool { return r.Rev > until || !d.tells(r.State) }), page.Next, err
}

// walk tells of a large batch's messages in the order in which they lie.
func (d *delivery) walk(ctx context.Context, st message.Status, until int64) error {
	c := &d.res.Cursor
	if c.Until == 0 {
		c.Until, c.At, c.Past = until, "", 0
	}
	for {
		activity.RecordHeartbeat(ctx, d.res)
		if d.now().After(d.ends) {
			d.res.More = true
			return errStop
		}
		rows, next, err := d.read(ctx, message.PageQuery{Since: c.Rev, Cursor: c.At}, c.Until)
		if err != nil {
			return err
		}
		told := slices.IndexFunc(rows, func(r message.Row) bool { return r.Index+1 == c.Past }) // -1 is none
		rows = rows[told+1:]
		for some := range slices.Chunk(rows, callback.RowsOf(d.Callbacks.Format, d.Total)) {
			e := callback.MessagesEvent(st, some)
			if callback.Repeats(d.Callbacks.Format) {
				e = callback.MessageEvent(st, some[0])
			}
			if err := d.post(ctx, e, some[0].Index); err != nil {
				return err
			}
			c.Past = some[len(some)-1].Index + 1
		}
		if c.At, c.Past = next, 0; c.At == "" {
			c.Rev, c.Until = c.Until, 0
			return nil
		}
	}
}

// post tells one event. index is that of the message whose request is repeated in it;
// below 0 it is the batch's alone.
func (d *delivery) post(ctx context.Context, e callback.Event, index int) error {
	if d.GiveUp {
		d.res.GivenUp += max(len(e.Rows), 1)
		d.count("given_up")
		return nil
	}
	if d.now().After(d.ends) || ctx.Err() != nil {
		d.res.More = true
		return errStop
	}
	if callback.Repeats(d.Callbacks.Format) {
		if err := d.ask(ctx, &e, index); err != nil {
			return fmt.Errorf("read the request: %w", err)
		}
	}
	f := d.poster.Post(ctx, d.Tenant, d.Callbacks, e)
	if f == nil {
		d.res.Told++
		d.count("accepted")
		activity.RecordHeartbeat(ctx, d.res)
		return nil
	}
	d.count(f.Code)
	activity.GetLogger(ctx).Warn("a callback was not accepted", "code", f.Code, "detail", message.Clip(f.Detail, message.MaxDetail))
	d.res.Failure = &contract.DeliverFailure{
		Code: f.Code, Detail: message.Clip(f.Detail, message.MaxDetail), RetryAfter: f.RetryAfter.Milliseconds(), Gone: f.Gone, Never: f.Never,
	}
	return errStop
}

// ask reads what the caller had asked for.
func (d *delivery) ask(ctx context.Context, e *callback.Event, index int) (err error) {
	if d.asked == nil {
		if d.asked, err = d.changes.Asked(ctx, d.Tenant, d.ID); err != nil {
			return err
		}
	}
	e.Request.Template, e.Request.Message, err = d.asked(ctx, index)
	return err
}
