package index

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/internal/message"
)

// candidates is how many rows are looked at at once. A recipient that gets everybody's
// tests has a million.
const candidates = 1000

// spanBits are those of a row's id within a span of the indexes, 2^18 seconds (see
// migrations).
const spanBits = 51

// lookup is a hash in one of the indexes.
type lookup struct {
	column string
	hash   int64
}

// criterion is one thing that is known of a message. It is any of what its lookups find, and of
// rows that are known by their ids.
type criterion struct {
	lookups []lookup
	rows    []int64
}

// Find finds messages by what is known of them, the newest batch's first. Where several
// things are given a message has all of them.
func (x *Index) Find(ctx context.Context, q FindQuery) (FindPage, error) {
	limit, err := limitOf(q.Limit)
	if err != nil {
		return FindPage{}, err
	}
	below, err := readCursor(q.Cursor)
	if err != nil {
		return FindPage{}, err
	}
	page := FindPage{Messages: []Found{}}
	err = x.db.look(ctx, func(t *tx) error {
		all, err := x.criteria(t, &q)
		if err != nil {
			return err
		}
		spans, err := t.spans(below)
		if err != nil {
			return err
		}
		for {
			ids, floor, err := t.matching(all, spans, below)
			if err != nil {
				return err
			}
			if err := x.found(t, &q, ids, limit+1, &page); err != nil {
				return err
			}
			if len(page.Messages) > limit {
				page.Messages = page.Messages[:limit]
				page.Next = writeCursor(page.Messages[limit-1].row)
				return nil
			}
			if floor == 0 {
				return nil
			}
			below = floor
		}
	})
	return page, err
}

// criteria are what a query asks for.
func (x *Index) criteria(t *tx, q *FindQuery) (all []criterion, err error) {
	if q.To != "" {
		all = append(all, criterion{lookups: x.byAddress(q.To, q.Region)})
	}
	if q.Reference != "" {
		all = append(all, criterion{lookups: []lookup{x.byReference(q.Reference)}})
	}
	if q.ProviderID != "" {
		all = append(all, criterion{lookups: []lookup{x.byProviderID(q.ProviderID)}})
	}
	if q.ID != "" {
		rows, err := t.byID(q.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, criterion{rows: rows})
	}
	if text := strings.TrimSpace(q.Text); text != "" {
		c := criterion{lookups: append(x.byAddress(text, q.Region), x.byReference(text), x.byProviderID(text))}
		if c.rows, err = t.byID(text); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, invalid("nothing to find, expected an address, a reference, a message's id or a provider's id")
	}
	return all, nil
}

func (x *Index) byAddress(value, region string) []lookup {
	var all []lookup
	for _, a := range slices.Compact([]string{address(value, region), address(value, "")}) {
		hash := x.people.sum(addressHash, a)
		all = append(all, lookup{"recipient", hash}, lookup{further, hash})
	}
	return all
}

func (x *Index) byReference(reference string) lookup {
	return lookup{"reference", x.people.sum(referenceHash, reference)}
}

func (x *Index) byProviderID(id string) lookup {
	return lookup{"provider", x.people.sum(providerHash, id)}
}

// byID is the row of a message with that id, none where it is none of ours.
func (t *tx) byID(id string) (rows []int64, err error) {
	mark, i, ok := message.ParseID(id)
	if !ok {
		return nil, nil
	}
	err = t.each("SELECT n, tenant, id FROM batch WHERE mark = ?", []any{markOf(mark)}, func(row *sql.Rows) error {
		var n int64
		var tenant, batch string
		err := row.Scan(&n, &tenant, &batch)
		if messageID(tenant, batch, i) == mark.MessageID(i) {
			rows = append(rows, rowID(n, i))
		}
		return err
	})
	return rows, err
}

// matching are the newest rows below an id that meet all criteria. Further ones have ids below
// floor; 0 is that there are none.
func (t *tx) matching(all []criterion, spans []int64, below int64) (ids []int64, floor int64, err error) {
	sets := make([]map[int64]bool, len(all))
	for i, c := range all {
		sets[i] = map[int64]bool{}
		for _, id := range c.rows {
			if id < below {
				sets[i][id] = true
			}
		}
		for _, l := range c.lookups {
			n, last, err := t.newest(l, spans, below, sets[i])
			if err != nil {
				return nil, 0, err
			}
			if n == candidates {
				floor = max(floor, last)
			}
		}
	}
	for id := range sets[0] {
		everywhere := !slices.ContainsFunc(sets[1:], func(s map[int64]bool) bool { return !s[id] })
		if id >= floor && everywhere {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	return ids, floor, nil
}

// further is the table of further addresses, as a column.
const further = "address"

// newest adds the rows of a lookup below an id to a set, up to as many as are looked at at
// once, and says how many there were and which came last.
func (t *tx) newest(l lookup, spans []int64, below int64, into map[int64]bool) (n int, last int64, err error) {
	scan := func(row *sql.Rows) error {
		n++
		err := row.Scan(&last)
		into[last] = true
		return err
	}
	if l.column == further {
		err = t.each("SELECT message FROM address WHERE recipient = ? AND message < ? ORDER BY message DESC LIMIT ?", []any{l.hash, below, candidates}, scan)
		return n, last, err
	}
	for _, span := range spans {
		if n == candidates || err != nil {
			break
		}
		if span > below>>spanBits {
			continue
		}
		err = t.each("SELECT id FROM message WHERE id >> 51 = ? AND "+l.column+" = ? AND id < ? ORDER BY id DESC LIMIT ?", []any{span, l.hash, below, candidates - n}, scan)
	}
	return n, last, err
}

// spans are those below an id that have rows, the newest first.
func (t *tx) spans(below int64) (spans []int64, err error) {
	for {
		var last *int64
		if _, err := t.one("SELECT max(id) FROM message WHERE id < ?", []any{below}, &last); err != nil || last == nil {
			return spans, err
		}
		span := *last >> spanBits
		spans, below = append(spans, span), span<<spanBits
	}
}

// found adds those of the rows that a query wants to a page, until it has so many.
func (x *Index) found(t *tx, q *FindQuery, ids []int64, limit int, page *FindPage) error {
	where, args := "", []any{}
	if q.Tenant != "" {
		where, args = " AND b.tenant = ?", append(args, q.Tenant)
	}
	if len(q.States) > 0 {
		numbers := make([]int64, len(q.States))
		for i, s := range q.States {
			numbers[i] = int64(s)
		}
		where += " AND l.state IN (" + list(numbers) + ")"
	}
	if !q.Since.IsZero() {
		where, args = where+" AND (m.ended IS NULL OR m.ended >= ?)", append(args, q.Since.UnixMilli())
	}
	for some := range slices.Chunk(ids, 100) {
		if len(page.Messages) >= limit {
			return nil
		}
		err := t.each(`SELECT m.id, b.tenant, b.id, l.account, l.channel, l.state, l.code, m.due, m.sent, m.ended, m.provider_id, m.attempts, m.person
			FROM message m JOIN label l ON l.id = m.label JOIN batch b ON b.n = m.id >> 24
			WHERE m.id IN (`+list(some)+`)`+where+` ORDER BY m.id DESC`, args, func(row *sql.Rows) error {
			f, err := x.scanFound(row)
			page.Messages = append(page.Messages, f)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) scanFound(row *sql.Rows) (f Found, err error) {
	var state int64
	var due, sent, ended *int64
	var person []byte
	if err := row.Scan(&f.row, &f.Tenant, &f.Batch, &f.Account, &f.Channel, &state, &f.Code, &due, &sent, &ended, &f.ProviderID, &f.Attempts, &person); err != nil {
		return f, err
	}
	f.Index = int(f.row & message.MaxIndex)
	f.ID = messageID(f.Tenant, f.Batch, f.Index)
	f.State = message.State(state) //nolint:gosec // it was one
	f.DueAt, f.SentAt, f.FinishedAt = atOrNil(due), atOrNil(sent), atOrNil(ended)
	x.people.open(f.Tenant, personIn(f.Batch, f.Index), person, &f.To, &f.Reference, &f.Detail)
	return f, nil
}

// atOrNil turns Unix ms into a time in UTC; null is nil.
func atOrNil(ms *int64) *time.Time {
	if ms == nil {
		return nil
	}
	t := at(ms)
	return &t
}

// newest is above the id of every row.
const newest = 1<<63 - 1

// Cursors are the number of the row before, and a digit that checks it.
func readCursor(s string) (int64, error) {
	if s == "" {
		return newest, nil
	}
	n, err := strconv.ParseInt(s[:len(s)-1], 36, 64)
	if err != nil || n <= 0 || writeCursor(n) != s {
		return 0, invalid("a cursor that is none, expected next of the page before")
	}
	return n, nil
}

func writeCursor(n int64) string {
	return strconv.FormatInt(n, 36) + strconv.FormatInt(n%35+1, 36)
}
