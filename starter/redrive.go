package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"volley/internal/message"
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
// Errors: ErrNotFound (no such batch, or nothing in it is selected), ErrRuns,
// ErrInvalid (a state that cannot be sent again), and those of Start.
func (s *Starter) Redrive(ctx context.Context, ref Ref, q RedriveQuery) (Started, error) {
	states, err := redriveStates(q.States)
	if err != nil {
		return Started{}, err
	}
	d, err := s.recall(ctx, ref)
	if err != nil {
		return Started{}, err
	}
	if d.open {
		return Started{}, stillRuns(ref)
	}
	if d.memo.Dir != "" {
		l, err := s.locate(ctx, ref)
		if err != nil {
			return Started{}, err
		}
		return s.redriveLarge(ctx, ref, l.view, q, states)
	}
	in, err := s.input(ctx, ref)
	if err != nil {
		return Started{}, err
	}
	end, err := s.end(ctx, ref, true)
	if err != nil {
		return Started{}, err
	}
	b := redriven(&in.Batch, end.Rows, states, q.Code)
	if len(b.Messages) == 0 {
		return Started{}, fmt.Errorf("batch %s has no message that is %s: %w", ref.ID, wanted(states, q.Code), ErrNotFound)
	}
	b.CreatedAt = s.o.Now().UTC()
	return s.startRedrive(ctx, ref, q, states, b)
}

func (s *Starter) startRedrive(ctx context.Context, ref Ref, q RedriveQuery, states []message.State, b *message.Batch) (Started, error) {
	r, content, err := redriveRequest(ref, q, states, b.Dialect)
	if err != nil {
		return Started{}, err
	}
	r.Body, r.Batch = content, b
	return s.Start(ctx, r)
}

// redriveRequest is the request for the new batch, and the content that a repeat of
// it has.
func redriveRequest(ref Ref, q RedriveQuery, states []message.State, dialect string) (Request, []byte, error) {
	content, err := json.Marshal(struct {
		RedriveOf string          `json:"redriveOf"`
		States    []message.State `json:"states"`
		Code      string          `json:"code"`
	}{ref.ID, states, q.Code})
	if err != nil {
		return Request{}, nil, fmt.Errorf("redrive batch %s: %w", ref.ID, err)
	}
	id := q.ID
	if id == "" {
		id = idFrom(dialect, digest("redrive", tenantOf(ref), string(content)))
	}
	return Request{Ref: Ref{Tenant: ref.Tenant, ID: id}}, content, nil
}

// redriveStates reads the states, sorted and each once. A message that a
// provider took, or that failed validation, is never sent again.
func redriveStates(names []string) ([]message.State, error) {
	if len(names) == 0 {
		return []message.State{message.Failed, message.Expired, message.Unknown}, nil
	}
	var states []message.State
	for _, name := range names {
		st, err := message.ParseState(name)
		if err != nil {
			return nil, invalid("%s", err)
		}
		switch st {
		case message.Failed, message.Expired, message.Unknown, message.Canceled, message.Undelivered:
			states = append(states, st)
		default:
			return nil, invalid("messages that are %s cannot be sent again, expected failed, expired, unknown, canceled or undelivered", st)
		}
	}
	slices.Sort(states)
	return slices.Compact(states), nil
}

// redriven is the batch of the selected messages.
func redriven(old *message.Batch, rows []message.Row, states []message.State, code string) *message.Batch {
	b := *old
	b.RedriveOf, b.SendAfter, b.Messages = old.ID, 0, nil
	chosen := selects(states, code)
	for i := range min(len(rows), len(old.Messages)) {
		if !chosen(&rows[i]) {
			continue
		}
		m := old.Messages[i]
		m.Due, m.Problems = 0, nil
		b.Messages = append(b.Messages, m)
	}
	return &b
}

func wanted(states []message.State, code string) string {
	names := make([]string, len(states))
	for i, st := range states {
		names[i] = st.String()
	}
	text := strings.Join(names, " or ")
	if code != "" {
		text += " with code " + code
	}
	return text
}
