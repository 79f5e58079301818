package index

import (
	"context"
	"strconv"
	"time"
)

// rebuildSetting is when a rebuild began that has not ended, in Unix ms.
const rebuildSetting = "rebuild"

// Rebuild begins to make the index anew, or goes on with a rebuild that has not ended, and
// says when that began. What was read before then is to be dropped and taken in again.
func (x *Index) Rebuild(ctx context.Context) (began time.Time, resumed bool, err error) {
	err = x.db.change(ctx, func(t *tx) error {
		var value []byte
		found, err := t.one("SELECT value FROM setting WHERE name = ?", []any{rebuildSetting}, &value)
		if err != nil {
			return err
		}
		if ms, perr := strconv.ParseInt(string(value), 10, 64); found && perr == nil {
			began, resumed = timeOf(ms), true
			return nil
		}
		began = x.o.Now().UTC().Truncate(time.Millisecond)
		_, err = t.exec("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
			rebuildSetting, []byte(strconv.FormatInt(began.UnixMilli(), 10)))
		return err
	})
	return began, resumed, err
}

// Rebuilt notes that a rebuild has ended.
func (x *Index) Rebuilt(ctx context.Context) error {
	return x.db.change(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM setting WHERE name = ?", rebuildSetting)
		return err
	})
}

// Drop takes a batch, its messages and what they count for out of the index, if it ended and was
// read before a time, or has not ended. It reports false where the batch was read since.
// One that is not there is no error.
func (x *Index) Drop(ctx context.Context, tenant, id string, before time.Time) (bool, error) {
	n, found, kept, err := x.findUnless(ctx, tenant, id, "closed <> 0 AND as_of >= ?", before)
	if err != nil || kept || !found {
		return !kept, err
	}
	return true, x.remove(ctx, n)
}

// Delete takes a batch that was deleted, its messages and what they count for out of the index,
// unless it was made after a time and so is another one with its id. It reports whether there
// was one.
func (x *Index) Delete(ctx context.Context, tenant, id string, created time.Time) (bool, error) {
	n, found, kept, err := x.findUnless(ctx, tenant, id, "created > ?", created)
	if err != nil || kept || !found {
		return false, err
	}
	return true, x.remove(ctx, n)
}

// findUnless finds a batch that may be removed; kept is that a condition with a time holds for it.
func (x *Index) findUnless(ctx context.Context, tenant, id, condition string, when time.Time) (n int64, found, kept bool, err error) {
	err = x.db.look(ctx, func(t *tx) (err error) {
		var keeps int
		found, err = t.one("SELECT n, CASE WHEN "+condition+" THEN 1 ELSE 0 END FROM batch WHERE tenant = ? AND id = ?", []any{when.UnixMilli(), tenant, id}, &n, &keeps)
		kept = keeps != 0
		return err
	})
	return n, found, kept, err
}

// remove deletes a batch with its messages, counters and metadata.
func (x *Index) remove(ctx context.Context, n int64) error {
	if err := x.expireMessagesOf(ctx, n); err != nil {
		return err
	}
	return x.db.change(ctx, func(t *tx) error {
		for _, from := range []string{"tally WHERE batch", "metadata WHERE batch", "batch WHERE n"} {
			if _, err := t.exec("DELETE FROM "+from+" = ?", n); err != nil {
				return err
			}
		}
		return nil
	})
}
