package starter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"volley/internal/message"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
)

// Redrive starts a new batch of exactly those messages of an ended batch that q
// selects, due at once, with their whole time to live before them. Contents,
// hops and policies are the old batch's.
//
// Only a batch that has ended can be redriven, because only then does a query
// always select the same messages: the new batch's id follows from the old one
// and the query, so that asking again, after a lost answer for example, answers
// with the batch that is there and sends nothing twice. Queries that overlap, or
// another q.ID, do send again what they share.
//
// Errors: ErrNotFound (no such batch, or nothing in it is selected), ErrStillRunning,
// ErrInvalid (a state that cannot be sent again, a time beyond the dialect's
// horizon), and those of Start.
func (s *Starter) Redrive(ctx context.Context, ref Ref, q RedriveQuery) (Started, error) {
	states, err := message.ParseRedrive(q.States)
	if err != nil {
		return Started{}, server.Invalid("%s", err)
	}
	old, err := s.redrivable(ctx, ref, func(row *message.Row) bool {
		return slices.Contains(states, row.State) && (q.Code == "" || row.Code == q.Code)
	})
	if err != nil {
		return Started{}, err
	}
	b := *old.header
	b.RedriveOf, b.Messages, b.CreatedAt = ref.ID, nil, s.o.Now().UTC()
	if b.SendAfter, err = s.redriveDue(b.Horizon, q); err != nil {
		return Started{}, err
	}
	unknown := 0
	again := func(yield func(message.Message, error) bool) {
		unknown = 0
		for m, err := range old.selected {
			if m.State == message.Unknown {
				unknown++
			}
			m.Due, m.Problems = 0, nil
			if !yield(m.Message, err) {
				return
			}
		}
	}
	for m, err := range again {
		if err != nil {
			return Started{}, err
		}
		if b.Messages = append(b.Messages, m); len(b.Messages) > s.o.MaxMessages {
			break
		}
	}
	if len(b.Messages) == 0 {
		return Started{}, old.none(wanted(states, q.Code))
	}
	out, err := s.startRedrive(ctx, ref, q, states, &b, again)
	out.Unknown = unknown
	return out, err
}

// endedBatch is a batch that has ended, as far as it can be sent again.
type endedBatch struct {
	ref    Ref
	header *message.Batch
	// selected are the messages that were asked for; an error is the last of them.
	selected iter.Seq2[large.EndedMessage, error]
	view     *large.View // nil is a small batch
}

// redrivable reads a batch that has ended, and the messages of it of which ok says so.
func (s *Starter) redrivable(ctx context.Context, ref Ref, ok func(*message.Row) bool) (*endedBatch, error) {
	d, err := s.server.DescribeOrStored(ctx, ref)
	var view *large.View
	if err == nil && !d.Open {
		view, err = s.viewBy(ctx, ref, d)
	}
	switch {
	case err != nil:
		return nil, err
	case d.Open, view != nil && view.Open:
		return nil, fmt.Errorf("redrive batch %s: %w, only one that has ended can be redriven", ref.ID, ErrStillRunning)
	case view != nil:
		m, err := view.Manifest(ctx)
		if err != nil {
			return nil, err
		}
		return &endedBatch{ref: ref, header: &m.Batch, selected: view.Select(ctx, ok), view: view}, nil
	}
	in, err := s.server.Input(ctx, ref)
	if err != nil {
		return nil, err
	}
	end, err := s.end(ctx, ref, true)
	return &endedBatch{ref: ref, header: &in.Batch, selected: func(yield func(large.EndedMessage, error) bool) {
		for i := range min(len(end.Rows), len(in.Batch.Messages)) {
			if row := &end.Rows[i]; ok(row) && !yield(large.EndedMessage{Message: in.Batch.Messages[i], State: row.State}, nil) {
				return
			}
		}
	}}, err
}

// none is that no message of the batch is as was asked for.
func (b *endedBatch) none(wanted string) error {
	if b.view != nil {
		if err := b.view.AnyMissing(); err != nil {
			return fmt.Errorf("batch %s: no message that is %s can be read from the store any more: %w", b.ref.ID, wanted, err)
		}
	}
	return fmt.Errorf("batch %s has no message that is %s: %w", b.ref.ID, wanted, ErrNotFound)
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

// startRedrive starts the batch of the messages to send again. b has all of them, or one
// more than a small batch may have. The query decides what is sent again, so that it
// stands for the content that a repeat has.
func (s *Starter) startRedrive(ctx context.Context, ref Ref, q RedriveQuery, states []message.State, b *message.Batch, all iter.Seq2[message.Message, error]) (Started, error) {
	content, _ := json.Marshal(struct { // of texts, which cannot fail
		RedriveOf string          `json:"redriveOf"`
		States    []message.State `json:"states"`
		Code      string          `json:"code"`
	}{ref.ID, states, q.Code})
	to := Ref{Tenant: server.TenantOf(ref), ID: q.ID}
	if to.ID == "" {
		to.ID = message.BatchIDFrom(b.Dialect, digest("redrive", to.Tenant, string(content)))
	}
	r := Request{Ref: to, Body: content, Batch: b, Ask: q.Ask}
	if len(b.Messages) <= s.o.MaxMessages {
		b.Dispatch = message.DispatchMessage // few messages need no store, and no groups
		return s.Start(ctx, r)
	}
	return s.startLarge(ctx, to, false, r, &source{header: b, messages: all, hash: hashed("content", content, b.Dialect, to.Tenant, nil)})
}

func wanted(states []message.State, code string) string {
	text := states[0].String()
	for _, st := range states[1:] {
		text += " or " + st.String()
	}
	if code != "" {
		text += " with code " + code
	}
	return text
}
