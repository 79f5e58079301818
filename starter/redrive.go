package starter

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Redrive starts a new batch of those messages of a batch that have ended and that q
// selects, with their whole time to live before them. Contents are the old batch's, and so
// are hops and policies unless q gives another account. The batch may still run.
//
// No message is sent again twice, whatever the queries are and however many are asked at
// the same time: each redrive takes its messages before it starts, and later ones leave
// them out, unless q.Again. The same query answers with the batch that is there until more
// messages are as it says; that also starts one whose messages were taken by a call that
// then broke off, for as long as it is certain that it had not started (twelve hours at
// most). A redrive with an id of its own can be asked for again by that.
//
// Errors: ErrNotFound (no such batch, nothing in it is selected, or all of it was sent
// again), ErrInvalid (a state that cannot be sent again, a time beyond the dialect's
// horizon), ErrNoWorker (the batch runs and cannot be asked), and those of Start.
func (s *Starter) Redrive(ctx context.Context, ref Ref, q RedriveQuery) (Started, error) {
	r, err := s.beginRedrive(ctx, ref, q)
	if err != nil {
		return Started{}, err
	}
	for range maxRedriveTries {
		out, err := r.attempt(ctx)
		if !errors.Is(err, errTaken) {
			if err == nil {
				out.Redriven = &Redriven{Unknown: r.chosen.unknown.Len(), AlreadyRedriven: r.already, Doubtful: r.doubtful}
			}
			return out, err
		}
	}
	return Started{}, fmt.Errorf("redrive batch %s: too many others do so at the same time: %w", ref.ID, ErrBusy)
}

// maxRedriveTries is how often a redrive begins again since another one was there first.
const maxRedriveTries = 100

// redrive is one call of Redrive.
type redrive struct {
	s      *Starter
	ref    Ref
	q      RedriveQuery
	states []message.State
	// query stands for what was asked for.
	query  string
	due    int64 // of the new batch, in Unix ms; 0 is none
	chosen *chosenMessages
	chain  redriveChain
	// already is how many chosen messages other redrives have taken, and doubtful how many
	// of this one's may have arrived before.
	already, doubtful int
}

func (s *Starter) beginRedrive(ctx context.Context, ref Ref, q RedriveQuery) (*redrive, error) {
	states, err := message.ParseRedrive(q.States)
	if err == nil {
		err = q.Check()
	}
	if err != nil {
		return nil, server.Invalid("%s", err)
	}
	ref.Tenant = server.TenantOf(ref)
	r := &redrive{s: s, ref: ref, q: q, states: states}
	text, _ := json.Marshal(struct { // of texts, which cannot fail
		States  []message.State  `json:"states"`
		Default bool             `json:"default"`
		Code    string           `json:"code"`
		Select  message.Selector `json:"select"`
		Account string           `json:"account"`
		Again   bool             `json:"again"`
	}{states, len(q.States) == 0, q.Code, q.Selector, q.Through, q.Again})
	sum := digest("redrive", ref.Tenant, ref.ID, string(text))
	r.query = hex.EncodeToString(sum[:])
	if r.chosen, err = s.choose(ctx, ref, q, states); err != nil {
		return nil, err
	}
	r.due, err = s.redriveDue(r.chosen.header.Horizon, q)
	return r, err
}

// attempt reads what the redrives before have taken, and starts a batch of the rest. The
// error is errTaken where another one was faster.
func (r *redrive) attempt(ctx context.Context) (Started, error) {
	var err error
	if r.chain, err = r.s.redrivesOf(ctx, r.ref, r.chosen); err != nil {
		return Started{}, err
	}
	taken := r.chain.taken(0)
	left := r.chosen.wanted.Without(taken)
	if r.q.Again {
		left = r.chosen.wanted
	}
	r.already = r.chosen.wanted.Len() - left.Len()
	if own := r.own(); own != nil {
		out, answered, err := r.repeat(ctx, own, left.Len() == 0 || r.q.ID != "")
		if answered {
			return out, err
		}
	}
	switch {
	case r.chosen.wanted.Len() == 0:
		return Started{}, r.none()
	case left.Len() == 0:
		return Started{}, fmt.Errorf("batch %s: of what is %s all has been taken by redrives before (%s), and is sent twice only if it is asked for again: %w",
			r.ref.ID, r.wanted(), message.Plural(r.already, "message"), ErrNotFound)
	}
	next := contract.HoldRedrivenInput{
		V: message.Version, Batch: WorkflowID(r.ref), Created: r.chosen.header.CreatedAt.UnixMilli(), To: r.newID(), Query: r.query,
		At: r.s.o.Now().UnixMilli(), Messages: left,
	}
	return r.start(ctx, next, func(ctx context.Context) error { return r.take(ctx, next) })
}

// newID is the id of a new batch: that of the same redrive by the same call, asked twice
// at the same time, is the same.
func (r *redrive) newID() string {
	switch {
	case r.q.ID != "":
		return r.q.ID
	case r.q.Again:
		return message.NewBatchID(r.chosen.header.Dialect, r.s.o.Now())
	}
	return message.BatchIDFrom(r.chosen.header.Dialect, digest("redrive", r.ref.Tenant, r.query,
		fmt.Sprint(r.chosen.header.CreatedAt.UnixMilli()), fmt.Sprint(len(r.chain)+1)))
}

// own is the last redrive that this one repeats: that with the caller's id, or else with
// the same query. Nil is none.
func (r *redrive) own() *redriveLink {
	for i := len(r.chain) - 1; i >= 0; i-- {
		l := &r.chain[i]
		if r.q.ID != "" && l.To == r.q.ID || r.q.ID == "" && !r.q.Again && l.Query == r.query {
			return l
		}
	}
	return nil
}

// repeat answers with a redrive that took its messages before, and starts it if it had not
// started. answered is false where it has started, and last does not say that there is
// nothing else to do, or where nobody can tell whether it had.
func (r *redrive) repeat(ctx context.Context, own *redriveLink, last bool) (out Started, answered bool, err error) {
	to := Ref{Tenant: r.ref.Tenant, ID: own.To}
	if own.Query != r.query {
		return Started{ID: own.To}, true, fmt.Errorf("batch %s: %w", own.To, ErrConflict)
	}
	left := r.chosen.wanted.Without(r.chain.taken(own.n))
	byOthers := r.chosen.wanted.Len() - left.Len()
	d, err := r.s.server.Describe(ctx, to)
	switch {
	case err == nil && !last:
		return Started{}, false, nil
	case err == nil:
		r.already = byOthers
		out, err = r.s.matched(ctx, r.s.server.Client, to, d, r.hash(own.To))
		return out, true, err
	case !errors.Is(err, ErrNotFound):
		return Started{}, true, err
	}
	never, err := r.s.neverStarted(ctx, own)
	if err != nil || !never {
		return Started{}, err != nil, err
	}
	r.already = byOthers
	out, err = r.start(ctx, own.HoldRedrivenInput, func(ctx context.Context) error { return r.keep(ctx) })
	return out, true, err
}

// content stands for what is sent again; a repeat has the same.
func (r *redrive) content(to string) []byte {
	content, _ := json.Marshal(struct { // of texts, which cannot fail
		RedriveOf string `json:"redriveOf"`
		Query     string `json:"query"`
		To        string `json:"to"`
	}{r.ref.ID, r.query, to})
	return content
}

func (r *redrive) hash(to string) string {
	return hashed("content", r.content(to), r.chosen.header.Dialect, r.ref.Tenant, nil)
}

// start starts the batch of a redrive. before is called once the person was asked, and
// directly before the start.
func (r *redrive) start(ctx context.Context, l contract.HoldRedrivenInput, before func(context.Context) error) (Started, error) {
	b := *r.chosen.header
	b.RedriveOf, b.Messages, b.CreatedAt, b.SendAfter = r.ref.ID, nil, r.s.o.Now().UTC(), r.due
	if r.q.Allow != nil {
		if err := r.q.Allow(&b); err != nil {
			return Started{}, err
		}
	}
	to := Ref{Tenant: r.ref.Tenant, ID: l.To}
	req := Request{Ref: to, Body: r.content(l.To), Batch: &b, Ask: func(ctx context.Context, p *Proposal) error {
		if r.q.Ask != nil {
			if err := r.q.Ask(ctx, p); err != nil {
				return err
			}
		}
		return before(ctx)
	}}
	all := r.messages(ctx, &b, l.Messages)
	if l.Messages.Len() > r.s.o.MaxMessages {
		out, err := r.s.submit(ctx, b.Dialect, to, func(ctx context.Context) (Started, error) {
			return r.s.startLarge(ctx, to, false, req, &source{header: &b, messages: all, hash: r.hash(l.To)})
		})
		out.ID = cmp.Or(out.ID, named(l.To, err).ID)
		return out, err
	}
	for m, err := range all {
		if err != nil {
			return Started{}, err
		}
		b.Messages = append(b.Messages, m)
	}
	if len(b.Messages) == 0 {
		return Started{}, r.none()
	}
	b.Dispatch = message.DispatchMessage // few messages need no store, and no groups
	out, err := r.s.Start(ctx, req)
	out.ID = cmp.Or(out.ID, named(l.To, err).ID)
	return out, err
}

// messages yields the messages of a set as the new batch b has them.
func (r *redrive) messages(ctx context.Context, b *message.Batch, set message.IndexSet) iter.Seq2[message.Message, error] {
	return func(yield func(message.Message, error) bool) {
		reroute := func(int, *message.Message) {}
		if r.q.Through != "" {
			b.Account = r.q.Through
			reroute = r.q.Reroute(b)
		}
		r.doubtful = 0
		n := 0
		for m, err := range r.chosen.messages(ctx, set) {
			if r.chosen.doubtful.Has(m.index) {
				r.doubtful++
			}
			if !r.q.SendAfter.IsZero() {
				m.Due = 0
			}
			m.Problems = nil
			reroute(n, &m.Message)
			n++
			if !yield(m.Message, err) || err != nil {
				return
			}
		}
	}
}

// none is that no message of the batch is as was asked for.
func (r *redrive) none() error {
	if v := r.chosen.view; v != nil {
		if err := v.AnyMissing(); err != nil {
			return fmt.Errorf("batch %s: no message that is %s can be read from the store any more: %w", r.ref.ID, r.wanted(), err)
		}
	}
	also := ""
	if n := r.chosen.unknown.Len(); n > 0 {
		also = fmt.Sprintf(" (%s unknown, and may have arrived: left out unless named)", message.Plural(n, "message"))
	}
	return fmt.Errorf("batch %s has no message that is %s%s: %w", r.ref.ID, r.wanted(), also, ErrNotFound)
}

func (r *redrive) wanted() string {
	text := r.states[0].String()
	for _, st := range r.states[1:] {
		text += " or " + st.String()
	}
	if r.q.Code != "" {
		text += " with code " + r.q.Code
	}
	return text
}

// redriveDue is when the messages of b are due again, in Unix ms; 0 is at once.
func (s *Starter) redriveDue(horizon int64, q RedriveQuery) (int64, error) {
	now := s.o.Now()
	if !q.SendAfter.After(now) {
		return 0, nil
	}
	ahead := cmp.Or(time.Duration(max(horizon, 0))*time.Millisecond, 365*24*time.Hour)
	if q.SendAfter.After(now.Add(ahead)) {
		return 0, server.Invalid("send after %s: that is more than %s ahead", q.SendAfter.UTC().Format(time.RFC3339), message.Horizon(ahead))
	}
	// Rounded up, so that nothing is early.
	return q.SendAfter.Add(time.Millisecond - 1).UnixMilli(), nil
}
