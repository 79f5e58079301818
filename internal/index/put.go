package index

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"volley/internal/message"
)

// entry is one message on its way into the index.
type entry struct {
	id    int64
	m     *Message
	label label
	// recipient, reference and provider are hashes, or nil.
	recipient, reference, provider any
	others                         []int64
	person                         []byte
}

// kept is what a message's row counts for, and what decides whether it changes.
type kept struct {
	rev, label       int64
	due, sent, ended *int64
	// recipient, reference and provider say whether an index has to change.
	recipient, reference, provider *int64
}

// Put takes in a batch as it is now, and some of its messages. It may be repeated, and may
// come late: what is as new as what it brings, or newer, stays, and counters with it. All
// of it is in, or nothing. Messages of a batch whose time is over are passed by.
func (x *Index) Put(ctx context.Context, b Batch, messages []Message) error {
	return x.put(ctx, b, messages, nil)
}

func (x *Index) put(ctx context.Context, b Batch, messages []Message, step *Step) error {
	if b.Tenant == "" || b.ID == "" {
		return invalid("a batch without a tenant or an id")
	}
	entries, err := x.entries(&b, messages)
	if err != nil {
		return err
	}
	gone, err := x.forgottenOf(ctx, b.Tenant)
	if err != nil {
		return err
	}
	for i := range entries {
		if len(gone) == 0 {
			break
		}
		if err := gone.apply(x, &b, &entries[i]); err != nil {
			return err
		}
	}
	labels, err := x.labelsOf(ctx, entries)
	if err != nil {
		return err
	}
	return x.db.change(ctx, func(t *tx) error {
		if step != nil && step.Lease != "" {
			if err := t.holds(step.Lease, step.Term); err != nil {
				return err
			}
		}
		row, err := x.putBatch(t, &b, step)
		if err == nil && len(entries) > 0 && row.expired == 0 {
			err = t.putMessages(row.n, entries, labels)
		}
		if err == nil && step != nil {
			err = step.end(t, row.n)
		}
		return err
	})
}

// putMessages writes messages of a batch that are new or newer than what is there, and counts
// them.
func (t *tx) putMessages(n int64, entries []entry, labels map[label]int64) error {
	for i := range entries {
		e := &entries[i]
		e.id = rowID(n, e.m.Index)
	}
	there, err := t.rows(entries)
	if err != nil {
		return err
	}
	var added, changed []entry
	moves := tally{}
	for _, e := range entries {
		old, ok := there[e.id]
		switch {
		case !ok:
			added = append(added, e)
		case old.rev < e.m.Rev:
			changed = append(changed, e)
			moves.count(n, old.label, old.due, old.sent, old.ended, -1)
		default:
			continue
		}
		moves.count(n, labels[e.label], ms(e.m.DueAt), ms(e.m.SentAt), ms(e.m.FinishedAt), 1)
	}
	if err := t.add(added, labels); err != nil {
		return err
	}
	if err := t.update(changed, there, labels); err != nil {
		return err
	}
	if err := t.addAddresses(added, changed); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE batch SET messages = messages + ? WHERE n = ?", len(added), n); err != nil {
		return err
	}
	return t.apply(moves)
}

// entries hashes and seals the messages, in the order of their indexes. Of one that comes
// more than once the newest counts.
func (x *Index) entries(b *Batch, messages []Message) ([]entry, error) {
	all := make([]entry, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		if m.Index < 0 || m.Index > message.MaxIndex {
			return nil, invalid("a message with the index %d", m.Index)
		}
		all = append(all, entry{m: m, label: label{m.Account, m.Channel, m.Country, m.State, m.Code}})
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.m.Index, b.m.Index), cmp.Compare(b.m.Rev, a.m.Rev))
	})
	all = slices.CompactFunc(all, func(a, b entry) bool { return a.m.Index == b.m.Index })
	for i := range all {
		if err := x.hide(b, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// hide hashes and seals what names a person.
func (x *Index) hide(b *Batch, e *entry) (err error) {
	to := address(e.m.To, "")
	e.recipient = x.people.sumOf(addressHash, to)
	e.reference = x.people.sumOf(referenceHash, e.m.Reference)
	e.provider = x.people.sumOf(providerHash, e.m.ProviderID)
	for _, other := range e.m.Others {
		if a := address(other, ""); a != "" && a != to {
			e.others = append(e.others, x.people.sum(addressHash, a))
		}
	}
	e.person, err = x.people.seal(b.Tenant, personIn(b.ID, e.m.Index), e.m.To, e.m.Reference, e.m.Detail)
	return err
}

// personIn is the place of what is sealed of a message.
func personIn(batch string, i int) string { return batch + "#" + strconv.Itoa(i) }

// ms is a time in Unix ms; the zero time is nil.
func ms(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMilli()
	return &n
}

// rows are those of the entries that are there already.
func (t *tx) rows(entries []entry) (map[int64]kept, error) {
	const columns = "SELECT id, rev, label, due, sent, ended, recipient, reference, provider FROM message WHERE id "
	there := map[int64]kept{}
	scan := func(row *sql.Rows) error {
		var id int64
		var k kept
		err := row.Scan(&id, &k.rev, &k.label, &k.due, &k.sent, &k.ended, &k.recipient, &k.reference, &k.provider)
		there[id] = k
		return err
	}
	first, last := entries[0].id, entries[len(entries)-1].id
	if span := last - first; span < 4*int64(len(entries)) {
		return there, t.each(columns+"BETWEEN ? AND ?", []any{first, last}, scan)
	}
	for some := range slices.Chunk(entries, 1000) {
		ids := make([]int64, len(some))
		for i := range some {
			ids[i] = some[i].id
		}
		if err := t.each(columns+"IN ("+list(ids)+")", nil, scan); err != nil {
			return nil, err
		}
	}
	return there, nil
}

const messageColumns = 12

// add inserts messages that are not there.
func (t *tx) add(entries []entry, labels map[label]int64) error {
	const into = `INSERT INTO message (id, label, attempts, rev, due, sent, ended, recipient, reference, provider, provider_id, person) `
	return t.insert(into, messageColumns, "", len(entries), func(i int) []any {
		e := &entries[i]
		return []any{
			e.id, labels[e.label], e.m.Attempts, e.m.Rev, millis(e.m.DueAt), millis(e.m.SentAt), millis(e.m.FinishedAt),
			e.recipient, e.reference, e.provider, e.m.ProviderID, e.person,
		}
	})
}

// update changes messages that are there. Recipients and references are not written again
// where they are the same, so that their indexes are left alone.
func (t *tx) update(entries []entry, there map[int64]kept, labels map[label]int64) error {
	for _, e := range entries {
		set := "label = ?, attempts = ?, rev = ?, due = ?, sent = ?, ended = ?, provider_id = ?, person = ?"
		args := []any{labels[e.label], e.m.Attempts, e.m.Rev, millis(e.m.DueAt), millis(e.m.SentAt), millis(e.m.FinishedAt), e.m.ProviderID, e.person}
		old := there[e.id]
		for _, c := range []struct {
			name string
			old  *int64
			now  any
		}{{"recipient", old.recipient, e.recipient}, {"reference", old.reference, e.reference}, {"provider", old.provider, e.provider}} {
			if c.old == nil && c.now == nil || c.old != nil && c.now == any(*c.old) {
				continue
			}
			set += ", " + c.name + " = ?"
			args = append(args, c.now)
		}
		if err := t.again("UPDATE message SET "+set+" WHERE id = ?", append(args, e.id)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) addAddresses(some ...[]entry) error {
	var pairs [][2]int64
	for _, entries := range some {
		for _, e := range entries {
			for _, other := range e.others {
				pairs = append(pairs, [2]int64{other, e.id})
			}
		}
	}
	return t.insert("INSERT INTO address (recipient, message) ", 2, " ON CONFLICT DO NOTHING", len(pairs), func(i int) []any { return []any{pairs[i][0], pairs[i][1]} })
}
