package index

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Suppression is a recipient who wants no messages.
type Suppression struct {
	// Tenant is whose messages are not sent; empty is everybody's.
	Tenant string
	// Recipient is an address in its normal form, see phone.Key. It is empty where it was
	// forgotten, and where it cannot be opened with the keys at hand.
	Recipient string
	// Key tells it from others, also once its recipient was forgotten.
	Key string
	// Reason and Source are free texts: why, and where that is known from.
	Reason, Source string
	// Until is when it ends; zero is never.
	Until time.Time
	// At is when it was added or changed last, By who did that.
	At time.Time
	By string
}

// SuppressionQuery asks for suppressions that count now, the one that changed last first.
type SuppressionQuery struct {
	// Tenants are whose, the empty one for everybody's; nil is all.
	Tenants []string
	// Recipient keeps only that one; empty keeps all.
	Recipient string
	// Limit is at most 500; 0 is 50. Cursor is that of the page before.
	Limit  int
	Cursor string
}

// SuppressionHash is the keyed hash of a recipient.
type SuppressionHash [16]byte

// SuppressionChange is how one recipient stands since its last change.
type SuppressionChange struct {
	Tenant string
	Hash   SuppressionHash
	// Until is in Unix ms; 0 is never.
	Until   int64
	Removed bool
}

const (
	// suppressionHash is the kind of hash of suppressed recipients.
	suppressionHash byte = 's'
	// suppressAtOnce is how many are written in one transaction, suppressInOne in one
	// statement: the driver of SQLite looks through all parameters for each.
	suppressAtOnce = 5000
	suppressInOne  = 25
	// removedFor is how long what was removed stays for readers.
	removedFor = 7 * 24 * time.Hour
	// keyMark begins every Suppression.Key.
	keyMark = "key-"
)

// HashSuppressed is the keyed hash of a recipient as the list has it, with a phone number as
// that of a region; empty is nowhere.
func (x *Index) HashSuppressed(recipient, region string) SuppressionHash {
	return x.people.suppressed(address(recipient, region))
}

func (p *people) suppressed(normal string) (h SuppressionHash) {
	mac := hmac.New(sha256.New, p.hash)
	mac.Write([]byte{suppressionHash})
	mac.Write([]byte(normal))
	var b [sha256.Size]byte
	copy(h[:], mac.Sum(b[:0]))
	return h
}

func (h SuppressionHash) place() string { return "suppression " + hex.EncodeToString(h[:]) }

// suppressionRow is one on its way into the database.
type suppressionRow struct {
	*Suppression
	hash  SuppressionHash
	value []byte
}

// Suppress adds recipients, or changes what is said of those that are there, and returns how
// many were not on the list. It may be repeated. After an
// error some of them may be added, the first ones.
func (x *Index) Suppress(ctx context.Context, all []Suppression) (added int, err error) {
	for some := range slices.Chunk(all, suppressAtOnce) {
		rows, err := x.suppressionRows(some)
		if err != nil {
			return added, err
		}
		n := 0
		err = x.db.change(ctx, func(t *tx) (err error) {
			n, err = t.suppress(rows, x.o.Now())
			return err
		})
		if err != nil {
			return added, err
		}
		added += n
	}
	return added, nil
}

// suppressionRows hashes and seals; of one that comes more than once the last counts.
func (x *Index) suppressionRows(some []Suppression) ([]suppressionRow, error) {
	rows := make([]suppressionRow, 0, len(some))
	at := map[string]int{}
	for i := range some {
		r := suppressionRow{Suppression: &some[i]}
		if r.Recipient == "" {
			return nil, invalid("a suppression without a recipient")
		}
		normal := address(r.Recipient, "")
		r.hash = x.people.suppressed(normal)
		var err error
		if r.value, err = x.people.seal(r.Tenant, r.hash.place(), normal); err != nil {
			return nil, err
		}
		key := string(r.hash[:]) + r.Tenant
		if j, ok := at[key]; ok {
			rows[j] = r
			continue
		}
		at[key] = len(rows)
		rows = append(rows, r)
	}
	return rows, nil
}

// suppress writes rows and counts those that did not count before.
func (t *tx) suppress(rows []suppressionRow, now time.Time) (added int, err error) {
	last, err := t.nextChanges(len(rows))
	if err != nil {
		return 0, err
	}
	for from := 0; from < len(rows); from += suppressInOne {
		some := rows[from:min(from+suppressInOne, len(rows))]
		there, err := t.countSuppressed(some, now)
		if err != nil {
			return added, err
		}
		if err := t.putSuppressions(some, last-int64(len(rows)-from), now); err != nil {
			return added, err
		}
		added += len(some) - there
	}
	return added, nil
}

// countSuppressed is how many of the rows are on the list already.
func (t *tx) countSuppressed(rows []suppressionRow, now time.Time) (there int, err error) {
	byTenant := map[string][]any{}
	for i := range rows {
		byTenant[rows[i].Tenant] = append(byTenant[rows[i].Tenant], rows[i].hash[:])
	}
	for tenant, hashes := range byTenant {
		n := 0
		query := "SELECT count(*) FROM suppression WHERE tenant = ? AND removed IS NULL AND (until IS NULL OR until > ?) AND hash IN (" + marks(len(hashes)) + ")"
		if _, err := t.one(query, append([]any{tenant, now.UnixMilli()}, hashes...), &n); err != nil {
			return 0, err
		}
		there += n
	}
	return there, nil
}

// putSuppressions writes rows, of which the first is the change behind one.
func (t *tx) putSuppressions(rows []suppressionRow, behind int64, now time.Time) error {
	const columns = 9
	args := make([]any, 0, columns*len(rows))
	for i := range rows {
		r := &rows[i]
		made := r.At
		if made.IsZero() {
			made = now
		}
		args = append(args, r.Tenant, r.hash[:], r.value, r.Reason, r.Source, r.By, made.UnixMilli(), millis(r.Until), behind+int64(i)+1)
	}
	one := "(" + marks(columns) + ")"
	_, err := t.exec("INSERT INTO suppression (tenant, hash, value, reason, source, actor, made, until, seq) VALUES "+
		strings.TrimSuffix(strings.Repeat(one+", ", len(rows)), ", ")+
		` ON CONFLICT (tenant, hash) DO UPDATE SET value = excluded.value, reason = excluded.reason, source = excluded.source,
		actor = excluded.actor, made = excluded.made, until = excluded.until, seq = excluded.seq, removed = NULL`, args...)
	return err
}

// marks are the places of n parameters.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// nextChanges takes the numbers of n changes and returns the last of them. Others that
// change something wait until the transaction has ended.
func (t *tx) nextChanges(n int) (last int64, err error) {
	if _, err := t.exec("UPDATE suppression_change SET last = last + ? WHERE one = 1", n); err != nil {
		return 0, err
	}
	found, err := t.one("SELECT last FROM suppression_change WHERE one = 1", nil, &last)
	if err == nil && !found {
		err = errors.New("index: the number of the last change is missing")
	}
	return last, err
}

// Unsuppress removes recipients from the list of a tenant, the empty one for everybody's, and
// returns how many were on it. Each is an address, or the Key of one.
func (x *Index) Unsuppress(ctx context.Context, tenant string, recipients []string) (removed int, err error) {
	for _, recipient := range recipients {
		hash := x.people.suppressed(address(recipient, ""))
		if key, ok := readSuppressionKey(recipient); ok {
			hash = key
		}
		err := x.db.change(ctx, func(t *tx) error {
			now := x.o.Now().UnixMilli()
			seq, err := t.nextChanges(1)
			if err != nil {
				return err
			}
			n, err := t.exec("UPDATE suppression SET removed = ?, value = NULL, seq = ? WHERE tenant = ? AND hash = ? AND removed IS NULL AND (until IS NULL OR until > ?)", now, seq, tenant, hash[:], now)
			removed += int(n)
			return err
		})
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// readSuppressionKey reads a Key.
func readSuppressionKey(s string) (h SuppressionHash, ok bool) {
	digits, ok := strings.CutPrefix(s, keyMark)
	b, err := hex.DecodeString(digits)
	return h, ok && err == nil && copy(h[:], b) == len(h) && len(b) == len(h)
}

// Suppressions lists who is on the list, and returns the cursor of the next page, empty on
// the last one.
func (x *Index) Suppressions(ctx context.Context, q SuppressionQuery) (page []Suppression, next string, err error) {
	limit, err := limitOf(q.Limit)
	if err != nil {
		return nil, "", err
	}
	below, err := readCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	where, args := "seq < ? AND removed IS NULL AND (until IS NULL OR until > ?)", []any{below, x.o.Now().UnixMilli()}
	if q.Tenants != nil {
		where += " AND tenant IN (" + marks(len(q.Tenants)) + ")"
		for _, tenant := range q.Tenants {
			args = append(args, tenant)
		}
	}
	if q.Recipient != "" {
		hash := x.people.suppressed(address(q.Recipient, ""))
		if key, ok := readSuppressionKey(q.Recipient); ok {
			hash = key
		}
		where, args = where+" AND hash = ?", append(args, hash[:])
	}
	page = []Suppression{}
	err = x.db.look(ctx, func(t *tx) error {
		var seq int64
		return t.each("SELECT tenant, hash, value, reason, source, actor, made, until, seq FROM suppression WHERE "+where+" ORDER BY seq DESC LIMIT ?", append(args, limit+1), func(row *sql.Rows) error {
			if len(page) == limit {
				next = writeCursor(seq)
				return nil
			}
			var s Suppression
			var hash, value []byte
			var made int64
			var until *int64
			if err := row.Scan(&s.Tenant, &hash, &value, &s.Reason, &s.Source, &s.By, &made, &until, &seq); err != nil {
				return err
			}
			var h SuppressionHash
			copy(h[:], hash)
			s.Key, s.At, s.Until = keyMark+hex.EncodeToString(hash), at(&made), at(until)
			x.people.open(s.Tenant, h.place(), value, &s.Recipient)
			page = append(page, s)
			return nil
		})
	})
	return page, next, err
}

// SuppressedSince lists how recipients stand that changed after a number of a change, in the
// order of their changes, at most limit of them, and returns the number of the last one.
// From 0 on it is all of the list. What was removed is told for a week.
func (x *Index) SuppressedSince(ctx context.Context, seq int64, limit int) (changes []SuppressionChange, last int64, err error) {
	last = seq
	err = x.db.look(ctx, func(t *tx) error {
		return t.each("SELECT tenant, hash, until, removed, seq FROM suppression WHERE seq > ? ORDER BY seq LIMIT ?", []any{seq, limit}, func(row *sql.Rows) error {
			var c SuppressionChange
			var hash sql.RawBytes
			var until, removed *int64
			if err := row.Scan(&c.Tenant, &hash, &until, &removed, &last); err != nil {
				return err
			}
			copy(c.Hash[:], hash)
			if c.Removed = removed != nil; until != nil {
				c.Until = *until
			}
			changes = append(changes, c)
			return nil
		})
	})
	return changes, last, err
}

// expireSuppressions deletes what was removed, or ended, long enough ago for every reader to
// know of it.
func (x *Index) expireSuppressions(ctx context.Context) error {
	before := x.o.Now().Add(-removedFor).UnixMilli()
	return x.db.change(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM suppression WHERE removed < ? OR until < ?", before, before)
		return err
	})
}
