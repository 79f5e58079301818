package index

import (
	"context"
	"time"
)

// Claim takes a lease for so long, or makes an owner's own longer, and returns its term, which
// changes with its owner; 0 is that another owner has it. A ttl of 0 gives it back. Who has it
// rests on the clocks of those who claim, and on the owners' names being different. What is
// done under it is held to its term by Advance, whatever the clocks say.
func (x *Index) Claim(ctx context.Context, name, owner string, ttl time.Duration) (term int64, err error) {
	now := x.o.Now()
	err = x.db.change(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO lease (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until,
			term = CASE WHEN lease.owner = excluded.owner THEN lease.term ELSE lease.term + 1 END
			WHERE lease.owner = excluded.owner OR lease.until <= ?`, name, owner, now.Add(ttl).UnixMilli(), now.UnixMilli())
		if err != nil || n == 0 || ttl <= 0 {
			return err
		}
		_, err = t.one("SELECT term FROM lease WHERE name = ?", []any{name}, &term)
		return err
	})
	if err != nil {
		return 0, err
	}
	return term, nil
}

// holds is nil while a lease has a term. It keeps the lease from changing hands until the
// transaction ends.
func (t *tx) holds(name string, term int64) error {
	q := "SELECT term FROM lease WHERE name = ?"
	if t.postgres { // SQLite's transactions that write come one after the other anyway
		q += " FOR SHARE"
	}
	var now int64
	if _, err := t.one(q, []any{name}, &now); err != nil {
		return err
	}
	if now != term {
		return ErrLease
	}
	return nil
}
