package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/tracing"
	"volley/starter"
)

const (
	// headerKey is the header that makes a repeated submit the same one.
	headerKey = "Idempotency-Key"
	maxKey    = 255
	// maxShown is how many problems an answer shows.
	maxShown = 100
	// startWait bounds the start of a batch once its request has been read, which goes
	// on when the client has gone.
	startWait = 30 * time.Second
	// leftWait is for how long a request is decoded whose client has left.
	leftWait = 2 * time.Second
	// headerSame names the batch with the same content that went out before, in an
	// answer to a submit of many messages. It is looked for beside the start, for at
	// most sameWithin, and left out when it is not known by then.
	headerSame = "Volley-Same-As"
	sameWithin = 300 * time.Millisecond
)

// submission is a request for a batch.
type submission struct {
	dialect string
	// id is the batch's own, where the caller may choose it.
	id      string
	options intake.Options
	// flags are the caller's choices outside of the body, which a repeat must share.
	flags map[string]string
	// forCSV are parameters that were given and stand for the header of a CSV file.
	forCSV []string
	// keepInvalid starts a batch also when every message of it is rejected, as
	// providers do that check messages later.
	keepInvalid bool
	// body is read once; nil is the request's own.
	body io.Reader
	// before completes the submission once the tenant's rate has let it in; nil is
	// nothing. Problems that it finds refuse the request, along with the body's own.
	before   func(*submission) error
	problems message.Problems
}

// submitted is a batch that was started, or was there.
type submitted struct {
	starter.Started
	ref starter.Ref
	// batch is what was decoded; without messages where it was read bit by bit.
	batch *message.Batch
	// excluded is how many messages are left out as asked, suppressed how many of these
	// since their recipients want no messages, and warnings are what stops nothing.
	excluded, suppressed int
	warnings             message.Problems
}

// messageID is the id of the message at i.
func (s *submitted) messageID(i int) string {
	return message.KeyOf(starter.WorkflowID(s.ref)).MessageID(i)
}

// submit starts a batch. Once it returns without an error Temporal has the batch.
func (g *Gateway) submit(w http.ResponseWriter, r tenantRequest, s submission) (*submitted, error) {
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return nil, err
	}
	if key != "" && s.id != "" {
		return nil, fail(http.StatusBadRequest, codeInvalid, "a submit has an id or an Idempotency-Key: either makes a repetition the same one")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fail(http.StatusUnsupportedMediaType, codeMediaType, "Content-Encoding "+e+" is not supported, send the request as it is")
	}
	if err := g.admit(r); err != nil {
		return nil, err
	}
	// Only who has a key may have something traced.
	r.Request = r.WithContext(tracing.FromHeader(r.Context(), r.Header))
	if s.before != nil {
		if err := s.before(&s); err != nil {
			return nil, err
		}
	}
	q, err := g.open(w, r, &s)
	if err != nil {
		return nil, err
	}
	ask := starter.Request{Body: q.Body(), Ref: starter.Ref{Tenant: r.tenant.Tenant, ID: s.id}, IdempotencyKey: key, Flags: s.flags, SameWithin: sameWithin}
	out := &submitted{}
	if q.IsBuffered() {
		err = g.startBuffered(r, q, ask, s, out)
	} else {
		err = g.startStreamed(r, q, ask, s, out)
	}
	r.held.release()
	if out.ID != "" {
		w.Header().Set(headerBatch, out.ID) // also that of a batch that another request has
	}
	if out.Same != nil {
		w.Header().Set(headerSame, out.Same.ID)
	}
	out.ref = starter.Ref{Tenant: r.tenant.Tenant, ID: out.ID}
	g.status.forget(out.ref) // that it was not there, or had another batch's end
	switch {
	case err != nil && (key != "" || s.id != ""):
		return nil, g.repeatable(r.Request, err)
	case err != nil:
		return nil, err
	case r.Context().Err() != nil && key == "" && s.id == "":
		g.o.Batches.ExpectRepeat(out.Started) // its client has gone without the answer
	}
	return out, nil
}

// givesUp returns what ends the decoding of a request whose client has left for long: a
// request that has come whole is taken all the same where that takes no longer. A body that
// breaks off ends the reading by itself, and says why.
func (g *Gateway) givesUp(r tenantRequest) func() bool {
	var left time.Time
	return func() bool {
		switch {
		case r.Context().Err() == nil || !r.held.isWhole():
			return false
		case left.IsZero():
			left = time.Now()
		}
		return time.Since(left) >= g.giveUpAfter
	}
}

// idempotencyKey is the key of a request; empty is none. A header without a value is a
// client that wants a safe repetition and has lost the key.
func idempotencyKey(h http.Header) (string, error) {
	key := h.Get(headerKey)
	switch {
	case len(key) > maxKey:
		return "", fail(http.StatusBadRequest, codeInvalid, "the Idempotency-Key has more than 255 bytes")
	case len(h.Values(headerKey)) > 0 && strings.TrimSpace(key) == "":
		return "", fail(http.StatusBadRequest, codeInvalid, "the Idempotency-Key is empty")
	}
	return key, nil
}

// admit counts a submit against the tenant's rate.
func (g *Gateway) admit(r tenantRequest) error {
	return tooMany(admit(r.tenant.submits, g.o.Now(), 1), "more submits than the tenant's rate allows")
}

// admitRead counts a read against the tenant's rate of reads.
func (g *Gateway) admitRead(t *Tenant) error {
	return tooMany(admit(t.reads, g.o.Now(), 1), tooManyReads)
}

// admitBatches counts a read that was admitted as one of so many batches. One of more than
// the rate lets in at once takes all of that.
func (g *Gateway) admitBatches(t *Tenant, batches int) error {
	if t.reads == nil {
		return nil
	}
	return tooMany(admit(t.reads, g.o.Now(), min(batches, t.reads.Burst())-1), tooManyReads)
}

const tooManyReads = "more reads than the tenant's read_rate allows"

func tooMany(wait time.Duration, why string) error {
	if wait == 0 {
		return nil
	}
	f := fail(http.StatusTooManyRequests, codeTooMany, why)
	f.retryAfter = wait
	return f
}

// open reads the first bytes of a request.
func (g *Gateway) open(w http.ResponseWriter, r tenantRequest, s *submission) (*intake.Request, error) {
	d, err := dialect.Named(s.dialect)
	if err != nil {
		return nil, fail(http.StatusBadRequest, codeInvalid, err.Error())
	}
	s.options.Dialect, s.options.Now, s.options.OverHTTP = d, g.o.Now(), true
	s.options.Ended, s.options.Suppressed = g.givesUp(r), g.o.Suppressed
	s.options.Streaming = r.held.stream
	body := s.body
	if body == nil {
		body = pace(w, r.Request)
		s.options.Size = max(r.ContentLength, 0)
	}
	q, err := intake.Open(body, r.tenant.Caller, g.o.Limits, s.options)
	if err != nil {
		return nil, err
	}
	if len(s.forCSV) > 0 && !q.IsCSV() && !q.IsEmpty() {
		return nil, fail(http.StatusBadRequest, codeInvalid,
			"the parameter "+s.forCSV[0]+" is for CSV files, the request says that itself or has no place for it")
	}
	return q, nil
}

// decode decodes a request that is in memory. A large one waits for its turn among the
// tenant's.
func (g *Gateway) decode(r tenantRequest, q *intake.Request) (*intake.Buffered, error) {
	if len(q.Body()) > freeBytes {
		done, err := g.decoding.enter(r.Context(), r.tenant.Tenant)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	return q.Buffered(), nil
}

func (g *Gateway) startBuffered(r tenantRequest, q *intake.Request, ask starter.Request, s submission, out *submitted) error {
	ctx := r.Context()
	whole, err := g.decode(r, q)
	if err != nil {
		return err
	}
	if err := ctx.Err(); whole.None && err != nil {
		return err
	}
	if len(s.problems) > 0 {
		return refused(errRefused, append(s.problems, whole.Problems...))
	}
	if err := whole.Refusal(); err != nil && (whole.None || s.options.Strict || !s.keepInvalid) {
		f := refused(err, whole.Problems)
		f.warnings = whole.Warnings
		return f
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWait)
	defer cancel()
	ask.Batch = whole.Batch
	ask.Batch.StartedBy = r.startedBy()
	if out.Started, err = g.o.Batches.Start(ctx, ask); err != nil {
		return err
	}
	out.batch, out.excluded, out.suppressed, out.warnings = whole.Batch, whole.Excluded, whole.Suppressed, whole.Warnings
	out.Problems = slices.DeleteFunc(out.Problems, s.options.LeftOut)
	return nil
}

// startStreamed starts a batch of which only a part is in memory.
func (g *Gateway) startStreamed(r tenantRequest, q *intake.Request, ask starter.Request, s submission, out *submitted) error {
	log := firstProblems{list: s.problems}
	in, err := q.Streamed(&log)
	if err != nil {
		return err
	}
	defer in.Close()
	if in.Header() == nil || len(s.problems) > 0 {
		return g.refuseStreamed(in, &log)
	}
	in.Header().StartedBy = r.startedBy()
	ctx, read, cancel := untilRead(r, in)
	defer cancel()
	out.Started, err = g.o.Batches.StartLarge(ctx, ask, read)
	var none *starter.NoneValidError
	switch {
	case err != nil && (in.Refused() || errors.As(err, &none)):
		return g.refuseStreamed(in, &log)
	case err != nil:
		return err
	}
	out.batch, out.excluded, out.suppressed, out.warnings = in.Header(), in.Excluded(), in.Suppressed(), in.Warnings()
	if out.Problems = slices.DeleteFunc(out.Problems, s.options.LeftOut); !out.Existing {
		out.Problems = append(message.Problems{}, log.list...) // the first ones, not counting those
	}
	return nil
}

// untilRead returns a context that a client which leaves ends only while its request
// comes: what follows goes on, as it does for a request in memory.
func untilRead(r tenantRequest, in *intake.Streamed) (context.Context, *trackedRequest, context.CancelFunc) {
	ctx := r.Context()
	read := &trackedRequest{Streamed: in}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if !read.ended.Load() && !r.held.isWhole() {
			cancel()
		}
	})
	return own, read, func() {
		stop()
		cancel()
	}
}

// trackedRequest knows whether its end was reached.
type trackedRequest struct {
	*intake.Streamed
	ended atomic.Bool
}

// End ends the request.
func (r *trackedRequest) End() ([]byte, error) {
	r.ended.Store(true)
	return r.Streamed.End()
}

func (g *Gateway) refuseStreamed(in *intake.Streamed, log *firstProblems) error {
	if err := in.Rest(); err != nil {
		return err
	}
	why := in.Refusal()
	if why == nil {
		why = errRefused
	}
	f := refused(why, log.list)
	f.warnings = in.Warnings()
	return f
}

// errRefused says no more than that a request has problems.
var errRefused = errors.New("the request is refused, nothing was started")

// firstProblems keeps the first problems of a request.
type firstProblems struct{ list message.Problems }

// Add keeps problems while there is room.
func (l *firstProblems) Add(problems ...message.Problem) error {
	l.list = append(l.list, problems[:min(len(problems), maxShown-min(len(l.list), maxShown))]...)
	return nil
}
