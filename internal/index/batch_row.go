package index

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"volley/internal/message"
)

// Batches are numbered by the second in which they were made, so that a higher number is a
// newer batch, also where older ones are taken in later. Of one second there is room for
// perSecond; further ones take the numbers behind.
const (
	perSecond = 1 << 9
	// indexBits are those of a message's index in its row's id.
	indexBits = 24
)

// firstSecond is where the numbers begin. They last for 34 years.
var firstSecond = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Unix() //nolint:gochecknoglobals // a constant

// numberFrom is the lowest number of batches of a second.
func numberFrom(created time.Time) int64 {
	return max(created.Unix()-firstSecond, 1) * perSecond
}

// rowID is the id of a message's row.
func rowID(batch int64, i int) int64 { return batch<<indexBits | int64(i) }

// aboutBatch is what may name people, of a batch.
type aboutBatch struct {
	Reasons message.Reasons   `json:"reasons,omitempty"`
	Held    *message.HoldView `json:"held,omitempty"`
	Fault   string            `json:"fault,omitempty"`
}

// batchRow is what is known of a batch that is in the index.
type batchRow struct {
	n, rev, asOf, created int64
	// expired means that the time of its messages is over.
	expired  int64
	position Position
}

// findBatch finds a batch.
func (t *tx) findBatch(tenant, id string) (batchRow, bool, error) { return t.batchRow(tenant, id, "") }

// lockBatch is findBatch, and in PostgreSQL holds the row until the transaction ends, so that
// changes of one batch come one after the other.
func (t *tx) lockBatch(tenant, id string) (batchRow, bool, error) {
	if t.postgres {
		return t.batchRow(tenant, id, " FOR UPDATE")
	}
	return t.batchRow(tenant, id, "")
}

func (t *tx) batchRow(tenant, id, lock string) (b batchRow, found bool, err error) {
	var done int64
	found, err = t.one("SELECT n, rev, as_of, created, expired, position_rev, position_walk, position_done FROM batch WHERE tenant = ? AND id = ?"+lock,
		[]any{tenant, id}, &b.n, &b.rev, &b.asOf, &b.created, &b.expired, &b.position.Rev, &b.position.Walk, &done)
	b.position.Done = done != 0
	return b, found, err
}

// putBatch writes a batch unless what is there is newer, if a step of it may be made; nil is
// none.
func (x *Index) putBatch(t *tx, b *Batch, step *Step) (batchRow, error) {
	row, found, err := t.lockBatch(b.Tenant, b.ID)
	for tries := 0; err == nil && !found; tries++ {
		if tries > perSecond {
			return row, fmt.Errorf("%w: no number is free for a batch", errFault)
		}
		if err = x.addBatch(t, b); err == nil {
			row, found, err = t.lockBatch(b.Tenant, b.ID)
		}
	}
	if err == nil && step != nil {
		err = step.begin(&row, b)
	}
	if err != nil || row.rev > b.Rev || row.rev == b.Rev && row.asOf >= b.AsOf.UnixMilli() {
		return row, err
	}
	return row, x.updateBatch(t, row.n, b)
}

// addBatch adds a row that says nothing yet. Where another process was faster, with the
// number or with the batch, it adds none.
func (x *Index) addBatch(t *tx, b *Batch) error {
	from := numberFrom(b.CreatedAt)
	var last *int64
	if _, err := t.one("SELECT max(n) FROM batch WHERE n >= ? AND n < ?", []any{from, from + perSecond}, &last); err != nil {
		return err
	}
	n := from
	if last != nil {
		n = *last + 1
	}
	if n == from+perSecond { // the second is full
		var free int64
		if _, err := t.one("SELECT min(n) + 1 FROM batch a WHERE n >= ? AND NOT EXISTS (SELECT 1 FROM batch WHERE n = a.n + 1)", []any{n - 1}, &free); err != nil {
			return err
		}
		n = free
	}
	_, err := t.exec(`INSERT INTO batch (n, tenant, id, mark, dialect, account, state, closed, dispatch, total, counts, redrive_of, about, created, rev, as_of)
			VALUES (?, ?, ?, ?, '', '', '', 0, '', 0, '{}', '', ?, 0, -1, 0) ON CONFLICT DO NOTHING`,
		n, b.Tenant, b.ID, markOf(message.KeyOf(message.WorkflowID(b.Tenant, b.ID))), []byte{plainMark})
	return err
}

func (x *Index) updateBatch(t *tx, n int64, b *Batch) error {
	some := map[message.State]int{} // most are 0
	for s, n := range b.Counts {
		if n != 0 {
			some[message.State(s)] = n //nolint:gosec // an index of Counts
		}
	}
	counts, err := json.Marshal(some)
	if err != nil {
		return fmt.Errorf("%w: %w", errFault, err)
	}
	text, err := json.Marshal(aboutBatch{b.Reasons, b.Held, b.Fault})
	if err != nil {
		return fmt.Errorf("%w: %w", errFault, err)
	}
	about, err := x.people.seal(b.Tenant, b.ID, string(text))
	if err != nil {
		return err
	}
	closed, idle := 0, b.FinishedAt
	if idle.IsZero() {
		idle = b.AsOf
	}
	if b.State.Closed() {
		closed = 1
	}
	if _, err := t.exec(`UPDATE batch SET dialect = ?, account = ?, state = ?, closed = ?, dispatch = ?, total = ?, counts = ?, redrive_of = ?, about = ?,
			created = ?, send_after = ?, started = ?, finished = ?, next_due = ?, estimated_end = ?, rev = ?, as_of = ?, idle = ? WHERE n = ?`,
		b.Dialect, b.Account, string(b.State), closed, b.Dispatch, b.Total, string(counts), b.RedriveOf, about,
		b.CreatedAt.UnixMilli(), millis(b.SendAfter), millis(b.StartedAt), millis(b.FinishedAt), millis(b.NextDueAt), millis(b.EstimatedEnd), b.Rev, b.AsOf.UnixMilli(), idle.UnixMilli(), n); err != nil {
		return err
	}
	return t.putMetadata(n, b.Metadata)
}

// putMetadata writes what is searched for of a batch, where it differs from what is there.
func (t *tx) putMetadata(n int64, wanted map[string]string) error {
	there, err := t.metadataOf([]int64{n})
	if err != nil || maps.Equal(there[n], wanted) {
		return err
	}
	if _, err := t.exec("DELETE FROM metadata WHERE batch = ?", n); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if _, err := t.exec("INSERT INTO metadata (batch, name, value) VALUES (?, ?, ?)", n, name, wanted[name]); err != nil {
			return err
		}
	}
	return nil
}

// metadataOf is that of some batches, by their numbers.
func (t *tx) metadataOf(batches []int64) (map[int64]map[string]string, error) {
	all := map[int64]map[string]string{}
	if len(batches) == 0 {
		return all, nil
	}
	err := t.each("SELECT batch, name, value FROM metadata WHERE batch IN ("+list(batches)+")", nil, func(row *sql.Rows) error {
		var n int64
		var name, value string
		err := row.Scan(&n, &name, &value)
		if all[n] == nil {
			all[n] = map[string]string{}
		}
		all[n][name] = value
		return err
	})
	return all, err
}

// markOf is a part of what the ids of a batch's messages have in common.
func markOf(k message.Key) int64 {
	return int64(binary.BigEndian.Uint64(k[:8])) //nolint:gosec // any 64 bits do
}

// openAbout reads what about holds; without the keys it is empty.
func (x *Index) openAbout(b *Batch, about []byte) error {
	var text string
	if !x.people.open(b.Tenant, b.ID, about, &text) {
		return nil
	}
	var a aboutBatch
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return fmt.Errorf("%w: batch %s: %w", errFault, b.ID, err)
	}
	b.Reasons, b.Held, b.Fault = a.Reasons, a.Held, a.Fault
	return nil
}
