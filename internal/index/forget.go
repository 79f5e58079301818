package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"volley/internal/message"
)

// ForgetQuery says whom a tenant's part of the index forgets.
type ForgetQuery struct {
	Tenant string
	// Recipient is an address and Reference the caller's own id; either may be empty.
	Recipient, Reference string
	// Region is where phone numbers without a country code are written; empty is nowhere.
	Region string
	// Values are the texts that examples of reasons must not repeat.
	Values []string
}

// Forget takes out of the messages that a query means whom they were for and what providers
// said of them. Their rows stay, and all counters. What the index is told again of batches
// made until now is forgotten again. On the suppression list the recipient stays by its keyed
// hash alone, for everybody's list too. It may be repeated. Compact then rids a file of what
// was written before.
func (x *Index) Forget(ctx context.Context, q ForgetQuery) (rows int, err error) {
	sums := x.forgottenBy(&q)
	if q.Tenant == "" || len(sums) == 0 {
		return 0, invalid("nobody to forget, expected a tenant and a recipient or a reference")
	}
	err = x.db.change(ctx, func(t *tx) error {
		for _, sum := range sums {
			_, err := t.exec("INSERT INTO forgotten (tenant, sum, until) VALUES (?, ?, ?) ON CONFLICT (tenant, sum) DO UPDATE SET until = excluded.until", q.Tenant, sum, x.o.Now().UnixMilli())
			if err != nil {
				return err
			}
		}
		if q.Recipient == "" {
			return nil
		}
		hash := x.people.suppressed(address(q.Recipient, q.Region))
		_, err := t.exec("UPDATE suppression SET value = NULL WHERE hash = ? AND tenant IN (?, '')", hash[:], q.Tenant)
		return err
	})
	for more := err == nil; more && err == nil; {
		err = x.db.change(ctx, func(t *tx) (err error) {
			var n int
			n, err = x.forgetSome(t, &q)
			rows, more = rows+n, n > 0
			return err
		})
	}
	return rows, err
}

// forgottenBy are the keyed hashes of what a query means.
func (x *Index) forgottenBy(q *ForgetQuery) (sums []int64) {
	if q.Recipient != "" {
		sums = append(sums, x.people.sum(addressHash, address(q.Recipient, q.Region)))
	}
	if q.Reference != "" {
		sums = append(sums, x.people.sum(referenceHash, q.Reference))
	}
	return sums
}

// forgetAtOnce is how many rows are forgotten in one transaction.
const forgetAtOnce = 500

// forgetSome forgets some rows, and returns how many.
func (x *Index) forgetSome(t *tx, q *ForgetQuery) (n int, err error) {
	found := map[int64]string{} // the batches of rows
	batches := map[string]int64{}
	look := func(where string, sum int64) error {
		return t.each("SELECT m.id, b.id, b.n FROM message m JOIN batch b ON b.n = m.id >> 24 WHERE b.tenant = ? AND "+where+" LIMIT ?", []any{q.Tenant, sum, forgetAtOnce}, func(row *sql.Rows) error {
			var id, number int64
			var batch string
			err := row.Scan(&id, &batch, &number)
			found[id], batches[batch] = batch, number
			return err
		})
	}
	if q.Recipient != "" {
		sum := x.people.sum(addressHash, address(q.Recipient, q.Region))
		err = errors.Join(look("m.recipient = ?", sum), look("m.id IN (SELECT message FROM address WHERE recipient = ?)", sum))
	}
	if q.Reference != "" && err == nil {
		err = look("m.reference = ?", x.people.sum(referenceHash, q.Reference))
	}
	if err != nil {
		return 0, err
	}
	for row, batch := range found {
		nothing, err := x.people.seal(q.Tenant, personIn(batch, int(row&message.MaxIndex)), "", "", "")
		if err != nil {
			return 0, err
		}
		if _, err := t.exec("UPDATE message SET recipient = NULL, reference = NULL, provider = NULL, provider_id = '', person = ? WHERE id = ?", nothing, row); err != nil {
			return 0, err
		}
		if _, err := t.exec("DELETE FROM address WHERE message = ?", row); err != nil {
			return 0, err
		}
	}
	for id, number := range batches {
		if err := x.forgetAbout(t, q, id, number); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// forgetAbout takes examples out of the reasons of a batch.
func (x *Index) forgetAbout(t *tx, q *ForgetQuery, id string, number int64) error {
	var sealed []byte
	var text string
	found, err := t.one("SELECT about FROM batch WHERE n = ?", []any{number}, &sealed)
	if err != nil || !found || !x.people.open(q.Tenant, id, sealed, &text) {
		return err
	}
	var about aboutBatch
	if err := json.Unmarshal([]byte(text), &about); err != nil {
		return fmt.Errorf("%w: %w", errFault, err)
	}
	changed := false
	for i := range about.Reasons {
		for _, v := range q.Values {
			if v != "" && strings.Contains(about.Reasons[i].Detail, v) {
				about.Reasons[i].Detail, changed = "", true
			}
		}
	}
	if !changed {
		return nil
	}
	plain, err := json.Marshal(about)
	if err != nil {
		return fmt.Errorf("%w: %w", errFault, err)
	}
	if sealed, err = x.people.seal(q.Tenant, id, string(plain)); err != nil {
		return err
	}
	_, err = t.exec("UPDATE batch SET about = ? WHERE n = ?", sealed, number)
	return err
}

// Compact writes anew what was written over, without what stood there: of SQLite the file,
// whose log it empties, of PostgreSQL the tables that name people. That takes as long as
// copying them; meanwhile what reads or writes them waits. PostgreSQL's own log, and backups, are
// its operator's.
func (x *Index) Compact(ctx context.Context) error {
	statements := []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"}
	if x.db.postgres { // without FULL it leaves what stood there in the gaps of its pages
		statements = []string{"VACUUM FULL message", "VACUUM FULL batch", "VACUUM FULL suppression"}
	}
	for _, s := range statements {
		if _, err := x.db.write.ExecContext(ctx, s); err != nil {
			return x.db.failure(ctx, err)
		}
	}
	return nil
}

// forgotten is what was forgotten of a tenant, until when a batch was made.
type forgotten map[int64]time.Time

// forgottenOf reads what was forgotten of a tenant.
func (x *Index) forgottenOf(ctx context.Context, tenant string) (all forgotten, err error) {
	err = x.db.look(ctx, func(t *tx) error {
		return t.each("SELECT sum, until FROM forgotten WHERE tenant = ?", []any{tenant}, func(row *sql.Rows) error {
			var sum, until int64
			err := row.Scan(&sum, &until)
			if all == nil {
				all = forgotten{}
			}
			all[sum] = at(&until)
			return err
		})
	})
	return all, err
}

// has reports whether a hash was forgotten since a batch was made.
func (f forgotten) has(sum any, created time.Time) bool {
	n, ok := sum.(int64)
	if !ok {
		return false
	}
	until, ok := f[n]
	return ok && !created.After(until)
}

// apply takes out of an entry what names a person where it was forgotten.
func (f forgotten) apply(x *Index, b *Batch, e *entry) (err error) {
	gone := f.has(e.recipient, b.CreatedAt) || f.has(e.reference, b.CreatedAt)
	for _, other := range e.others {
		gone = gone || f.has(other, b.CreatedAt)
	}
	if !gone {
		return nil
	}
	e.recipient, e.reference, e.provider, e.others = nil, nil, nil, nil
	m := *e.m
	m.ProviderID = ""
	e.m = &m
	e.person, err = x.people.seal(b.Tenant, personIn(b.ID, m.Index), "", "", "")
	return err
}
