package starter

import (
	"context"
	"fmt"
	"strings"

	"volley/internal/message"
	"volley/internal/phone"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
)

// matcher finds the messages that a selector chooses; nil is all of them. header is that
// of their batch.
func matcher(header *message.Batch, q message.Selector) large.Match {
	if q.IsZero() {
		return nil
	}
	key := recipientKey(header)
	return func(row *message.Row, m *message.Message) bool { return q.Matches(header, row, m, key) }
}

// recipientKey returns what brings recipients of a batch into the form in which they are
// compared.
func recipientKey(header *message.Batch) func(string) string {
	return func(s string) string {
		key, _ := phone.Key(s, header.Region)
		return key
	}
}

// maxSelected is how many messages may be chosen at once by what they are.
const maxSelected = 100_000

// Select returns the ids of the messages of a batch that q selects. ErrNotFound is that
// there is none, and ErrRefused that there are more than 100,000.
func (s *Starter) Select(ctx context.Context, ref Ref, q ResultQuery) ([]string, error) {
	var ids []string
	for row, err := range s.Results(ctx, ref, q) {
		if err != nil {
			return nil, err
		}
		if ids = append(ids, row.ID); len(ids) > maxSelected {
			return nil, fmt.Errorf("batch %s: %w: more than %s messages are selected", ref.ID, ErrRefused, message.Number(maxSelected))
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("batch %s has no message that is selected: %w", ref.ID, ErrNotFound)
	}
	return ids, nil
}

// maxHits is how many messages an error names at most that several are meant.
const maxHits = 20

// SeveralError means that a recipient or a reference stands for several messages of a
// batch; nothing was done. It is an ErrInvalid.
type SeveralError struct {
	invalid
	// Name is what was asked for, and Rows are the first twenty of the messages.
	Name string
	Rows []message.Row
	// More means that there are others.
	More bool
}

func (e *SeveralError) Error() string {
	var hits []string
	for _, row := range e.Rows {
		hits = append(hits, fmt.Sprintf("%d (%s)", row.Index, row.State))
	}
	if e.More {
		hits = append(hits, "…")
	}
	return fmt.Sprintf("several messages are %q, by index: %s; name one by its index", e.Name, strings.Join(hits, ", "))
}

// named finds the one message of a batch whose recipient or reference is a name.
func (s *Starter) named(ctx context.Context, ref Ref, name string) (int, error) {
	header, err := s.header(ctx, ref)
	if err != nil {
		return 0, err
	}
	key := recipientKey(header)
	several := &SeveralError{Name: name}
	for row, err := range s.matching(ctx, ref, message.PageQuery{Limit: message.MaxPage}, func(_ *message.Row, m *message.Message) bool {
		return m.Reference == name || m.IsTo(key(name), key)
	}) {
		if err != nil {
			return 0, err
		}
		if several.More = len(several.Rows) == maxHits; several.More {
			break
		}
		several.Rows = append(several.Rows, row)
	}
	switch len(several.Rows) {
	case 0:
		return 0, fmt.Errorf("message %s of batch %s: %w", name, ref.ID, ErrNotFound)
	case 1:
		return several.Rows[0].Index, nil
	}
	return 0, several
}

// header is a batch as it was accepted, without the messages of a large one.
func (s *Starter) header(ctx context.Context, ref Ref) (*message.Batch, error) {
	v, err := s.view(ctx, ref)
	if err != nil {
		return nil, err
	}
	if v == nil {
		in, err := s.server.Input(ctx, ref)
		return &in.Batch, err
	}
	m, err := v.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	return &m.Batch, nil
}

// indexOf finds a message of a batch by its id or index, or else by its recipient or
// reference. total is how many messages the batch has; 0 is that it is not known.
func (s *Starter) indexOf(ctx context.Context, ref Ref, name string, total int) (int, error) {
	i, ok := server.MessageIndex(WorkflowID(ref), name)
	if ok && (total == 0 || i < total) {
		return i, nil
	}
	if name == "" || !ok && isMessageID(name) {
		return 0, fmt.Errorf("message %s of batch %s: %w", name, ref.ID, ErrNotFound)
	}
	return s.named(ctx, ref, name)
}

// isMessageID reports whether a name is the id of a message, of whichever batch.
func isMessageID(name string) bool {
	_, _, ok := message.ParseID(name)
	return ok
}
