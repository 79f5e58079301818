package index

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"volley/internal/message"
)

// expireAtOnce is how many messages are deleted in a transaction, so that others need not wait
// long for theirs.
const expireAtOnce = 20_000

// Expire deletes what is older than the index keeps: messages Retention after their batch
// ended, or was read last where it has no end; batches, counters and the audit after
// StatsRetention.
func (x *Index) Expire(ctx context.Context) error {
	now := x.o.Now()
	if err := x.expireMessages(ctx, now.Add(-x.o.Retention)); err != nil {
		return err
	}
	return errors.Join(x.expireBatches(ctx, now.Add(-x.o.StatsRetention)), x.expireSuppressions(ctx))
}

func (x *Index) expireMessages(ctx context.Context, before time.Time) error {
	for {
		over, err := x.idleSince(ctx, before, "expired = 0")
		if err != nil || len(over) == 0 {
			return err
		}
		for _, n := range over {
			if err := x.expireMessagesOf(ctx, n); err != nil {
				return err
			}
		}
	}
}

// idleSince are some batches that ended, or were read last, before a time.
func (x *Index) idleSince(ctx context.Context, before time.Time, where string) (numbers []int64, err error) {
	err = x.db.look(ctx, func(t *tx) error {
		return t.each("SELECT n FROM batch WHERE idle < ? AND "+where+" ORDER BY idle LIMIT 1000", []any{before.UnixMilli()}, func(row *sql.Rows) error {
			var n int64
			err := row.Scan(&n)
			numbers = append(numbers, n)
			return err
		})
	})
	return numbers, err
}

// expireMessagesOf deletes the messages of a batch, those with low indexes first. That none are
// to be added is noted before.
func (x *Index) expireMessagesOf(ctx context.Context, n int64) error {
	err := x.db.change(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE batch SET expired = 1 WHERE n = ?", n)
		return err
	})
	for next := rowID(n, 0); err == nil; {
		var last *int64
		err = x.db.change(ctx, func(t *tx) error {
			_, err := t.one("SELECT max(id) FROM (SELECT id FROM message WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?) AS part", []any{next, rowID(n, message.MaxIndex), expireAtOnce}, &last)
			if err != nil || last == nil {
				return err
			}
			if _, err := t.exec("DELETE FROM address WHERE message BETWEEN ? AND ?", next, *last); err != nil {
				return err
			}
			gone, err := t.exec("DELETE FROM message WHERE id BETWEEN ? AND ?", next, *last)
			if err != nil {
				return err
			}
			_, err = t.exec("UPDATE batch SET messages = messages - ? WHERE n = ?", gone, n)
			return err
		})
		if last == nil {
			break
		}
		next = *last + 1
	}
	return err
}

func (x *Index) expireBatches(ctx context.Context, before time.Time) error {
	for {
		over, err := x.idleSince(ctx, before, "expired = 1")
		if err != nil {
			return err
		}
		err = x.db.change(ctx, func(t *tx) error {
			if len(over) == 0 {
				return nil
			}
			for _, from := range []string{"tally WHERE quarter = 0 AND batch", "metadata WHERE batch", "batch WHERE n"} {
				if _, err := t.exec("DELETE FROM " + from + " IN (" + list(over) + ")"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(over) == 0 {
			break
		}
	}
	return x.db.change(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM tally WHERE quarter > 0 AND quarter < ?", before.UnixMilli()/quarter.Milliseconds()); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM audit WHERE at < ?", before.UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM lease WHERE until < ?", before.UnixMilli())
		return err
	})
}
