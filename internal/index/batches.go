package index

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"volley/internal/message"
)

const batchColumns = `n, tenant, id, dialect, account, state, dispatch, total, counts, redrive_of, about,
	created, send_after, started, finished, next_due, estimated_end, rev, as_of`

// Batches lists batches, newest first.
func (x *Index) Batches(ctx context.Context, q BatchesQuery) (BatchPage, error) {
	limit, err := limitOf(q.Limit)
	if err != nil {
		return BatchPage{}, err
	}
	below, err := readCursor(q.Cursor)
	if err != nil {
		return BatchPage{}, err
	}
	where, args := "n < ?", []any{below}
	if q.Tenant != "" {
		where, args = where+" AND tenant = ?", append(args, q.Tenant)
	}
	if q.Open {
		where += " AND closed = 0"
	}
	if !q.Since.IsZero() {
		where, args = where+" AND n >= ? AND created >= ?", append(args, numberFrom(q.Since), q.Since.UnixMilli())
	}
	for _, name := range slices.Sorted(maps.Keys(q.Meta)) {
		where, args = where+" AND n IN (SELECT batch FROM metadata WHERE name = ? AND value = ?)", append(args, name, q.Meta[name])
	}
	if q.Only != nil {
		if len(q.Only) > maxLimit {
			return BatchPage{}, invalid("%d batches, expected at most %d", len(q.Only), maxLimit)
		}
		each := make([]string, len(q.Only))
		for i, b := range q.Only {
			each[i], args = "SELECT n FROM batch WHERE tenant = ? AND id = ?", append(args, b.Tenant, b.ID)
		}
		where += " AND n IN (" + cmp.Or(strings.Join(each, " UNION ALL "), "0") + ")"
	}
	page := BatchPage{Batches: []Batch{}}
	err = x.db.look(ctx, func(t *tx) error {
		var numbers []int64
		err := t.each("SELECT "+batchColumns+" FROM batch WHERE "+where+" ORDER BY n DESC LIMIT ?", append(args, limit+1), func(row *sql.Rows) error {
			n, b, err := x.scanBatch(row)
			page.Batches, numbers = append(page.Batches, b), append(numbers, n)
			return err
		})
		if err != nil {
			return err
		}
		if len(numbers) > limit {
			page.Batches, numbers = page.Batches[:limit], numbers[:limit]
			page.Next = writeCursor(numbers[limit-1])
		}
		metadata, err := t.metadataOf(numbers)
		for i, n := range numbers {
			page.Batches[i].Metadata = metadata[n]
		}
		return err
	})
	return page, err
}

func (x *Index) scanBatch(row *sql.Rows) (n int64, b Batch, err error) {
	var counts, state string
	var about []byte
	var created, sendAfter, started, finished, nextDue, end, asOf *int64
	err = row.Scan(&n, &b.Tenant, &b.ID, &b.Dialect, &b.Account, &state, &b.Dispatch, &b.Total, &counts, &b.RedriveOf, &about,
		&created, &sendAfter, &started, &finished, &nextDue, &end, &b.Rev, &asOf)
	if err != nil {
		return 0, b, err
	}
	b.State = message.BatchState(state)
	b.CreatedAt, b.SendAfter, b.StartedAt, b.FinishedAt = at(created), at(sendAfter), at(started), at(finished)
	b.NextDueAt, b.EstimatedEnd, b.AsOf = at(nextDue), at(end), at(asOf)
	if err := json.Unmarshal([]byte(counts), &b.Counts); err != nil {
		return 0, b, fmt.Errorf("%w: batch %s: %w", errFault, b.ID, err)
	}
	return n, b, x.openAbout(&b, about)
}
