package index

import "context"

// Position is how far a batch was taken in; zero where it is not in the index.
func (x *Index) Position(ctx context.Context, tenant, id string) (p Position, err error) {
	err = x.db.look(ctx, func(t *tx) error {
		var done int
		_, err := t.one("SELECT position_rev, position_walk, position_done FROM batch WHERE tenant = ? AND id = ?", []any{tenant, id}, &p.Rev, &p.Walk, &done)
		p.Done = done != 0
		return err
	})
	return p, err
}

// SetPosition notes how far a batch was taken in. The batch was Put before, else the error is
// an ErrInvalid.
func (x *Index) SetPosition(ctx context.Context, tenant, id string, p Position) error {
	done := 0
	if p.Done {
		done = 1
	}
	return x.db.change(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE batch SET position_rev = ?, position_walk = ?, position_done = ? WHERE tenant = ? AND id = ?", p.Rev, p.Walk, done, tenant, id)
		if err == nil && n == 0 {
			return invalid("batch %s is not in the index", id)
		}
		return err
	})
}
