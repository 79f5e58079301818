package index

import (
	"context"
	"time"
)

// Claim takes a lease for so long, or makes an owner's own longer, and reports whether the
// owner has it. A ttl of 0 gives it back. It rests on the clocks of those who claim, so it saves
// work, and what is done under it must bear to be done by two.
func (x *Index) Claim(ctx context.Context, name, owner string, ttl time.Duration) (has bool, err error) {
	now := x.o.Now()
	err = x.db.change(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO lease (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
			WHERE lease.owner = excluded.owner OR lease.until <= ?`, name, owner, now.Add(ttl).UnixMilli(), now.UnixMilli())
		has = n > 0 && ttl > 0
		return err
	})
	return has && err == nil, err
}
