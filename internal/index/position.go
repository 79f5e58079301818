package index

import (
	"context"
	"fmt"
)

// Position is how far a batch was taken in; zero where it is not in the index.
func (x *Index) Position(ctx context.Context, tenant, id string) (p Position, err error) {
	err = x.db.look(ctx, func(t *tx) error {
		b, found, err := t.findBatch(tenant, id)
		if found {
			p = b.position
		}
		return err
	})
	return p, err
}

// Step is one step of taking in a batch.
type Step struct {
	// From is where the batch stands, and To where it stands then.
	From, To Position
	// Lease is what the step is made under, with its Term; an empty one is none.
	Lease string
	Term  int64
}

// Advance is Put as a step of taking in a batch: the batch stands where the step ends then. All
// of it is in, or nothing. Where another process has the lease by now it is an ErrLease, and
// an ErrMoved where the batch does not stand where the step begins, or another batch has its
// id: whoever was faster, or is newer, is right.
func (x *Index) Advance(ctx context.Context, b Batch, messages []Message, s Step) error {
	return x.put(ctx, b, messages, &s)
}

// begin checks that a step may be made of a batch that is there.
func (s *Step) begin(row *batchRow, b *Batch) error {
	switch {
	case row.rev >= 0 && row.created != b.CreatedAt.UnixMilli():
		return fmt.Errorf("%w: batch %s is another one with its id", ErrMoved, b.ID)
	case row.position != s.From:
		return fmt.Errorf("%w: batch %s", ErrMoved, b.ID)
	}
	return nil
}

// end notes where a batch stands.
func (s *Step) end(t *tx, n int64) error {
	done := 0
	if s.To.Done {
		done = 1
	}
	_, err := t.exec("UPDATE batch SET position_rev = ?, position_walk = ?, position_done = ? WHERE n = ?", s.To.Rev, s.To.Walk, done, n)
	return err
}
