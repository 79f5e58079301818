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

const (
	// statsSpan is how far back statistics go that say nothing else.
	statsSpan = 7 * 24 * time.Hour
	// reportWait is how long a delivery report may take before it counts as missing.
	reportWait = 24 * time.Hour
	// metaPrefix begins a By that is a key of the metadata.
	metaPrefix = "meta."
)

// Stats says how well messages went that ended since a time, to the quarter of an hour. Lines by
// hour and day come in their order, others with the most messages first.
func (x *Index) Stats(ctx context.Context, q StatsQuery) ([]Stat, error) {
	if q.Now.IsZero() {
		q.Now = x.o.Now()
	}
	if q.Since.IsZero() {
		q.Since = q.Now.Add(-statsSpan)
	}
	if q.Zone == nil {
		q.Zone = time.UTC
	}
	query, args, err := q.sql()
	if err != nil {
		return nil, err
	}
	sums := map[string]*sum{}
	unreported := q.Now.Add(-reportWait).UnixMilli()/quarter.Milliseconds() - 1
	err = x.db.look(ctx, func(t *tx) error {
		return t.each(query, args, func(row *sql.Rows) error {
			var key, code string
			var at, state, wait, n int64
			if err := row.Scan(&key, &at, &state, &code, &wait, &n); err != nil {
				return err
			}
			key = q.key(key, at)
			if sums[key] == nil {
				sums[key] = &sum{waits: map[int64]int64{}}
			}
			sums[key].add(message.State(state), code, wait, n, at <= unreported) //nolint:gosec // it was one
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	stats := make([]Stat, 0, len(sums))
	for key, s := range sums {
		stats = append(stats, s.stat(key))
	}
	slices.SortFunc(stats, func(a, b Stat) int {
		if q.By == "hour" || q.By == "day" {
			return strings.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Key, b.Key))
	})
	return stats, nil
}

// sql is the query: a key, a quarter of an hour, a state, a code, a wait, and how many there are.
func (q *StatsQuery) sql() (query string, args []any, err error) {
	key, join := "''", ""
	withBatch := q.Tenant != ""
	switch name, isMeta := strings.CutPrefix(q.By, metaPrefix); {
	case isMeta && name != "":
		key, join, args = "coalesce(d.value, '')", " LEFT JOIN metadata d ON d.batch = t.batch AND d.name = ?", append(args, name)
	case q.By == "tenant", q.By == "batch":
		withBatch = true
		if key = "b.tenant"; q.By == "batch" {
			key = "b.id"
		}
	case q.By == "account", q.By == "country", q.By == "channel", q.By == "code":
		key = "l." + q.By
	case q.By != "" && q.By != "hour" && q.By != "day":
		return "", nil, invalid("by %q, expected tenant, account, country, channel, code, hour, day, batch or meta.KEY", q.By)
	}
	// Rows by quarter of an hour are needed for times, and for what was sent and is not reported.
	group := "CASE WHEN l.state = " + strconv.Itoa(int(message.Sent)) + " THEN t.quarter ELSE 0 END"
	if q.By == "hour" || q.By == "day" {
		group = "t.quarter"
	}
	if withBatch {
		join += " JOIN batch b ON b.n = t.batch"
	}
	query = "SELECT " + key + ", " + group + ", l.state, l.code, t.wait, sum(t.n) FROM tally t JOIN label l ON l.id = t.label" + join + " WHERE t.quarter >= ?"
	args = append(args, max(q.Since.UnixMilli()/quarter.Milliseconds(), 1))
	if q.Tenant != "" {
		query, args = query+" AND b.tenant = ?", append(args, q.Tenant)
	}
	return query + " GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC", args, nil
}

// key is that of a line.
func (q *StatsQuery) key(key string, at int64) string {
	when := timeOf(at * quarter.Milliseconds()).In(q.Zone)
	switch q.By {
	case "hour":
		return when.Add(-time.Duration(when.Minute()) * time.Minute).Format(time.RFC3339)
	case "day":
		return when.Format(time.DateOnly)
	}
	return key
}

// sum adds up counters.
type sum struct {
	counts   message.Counts
	reasons  message.Reasons
	noReport int64
	// waits are how many waited how long.
	waits map[int64]int64
}

func (s *sum) add(state message.State, code string, wait, n int64, old bool) {
	s.counts[state] += int(n)
	s.reasons.Count(state, code, "", int(n))
	if state == message.Sent && old {
		s.noReport += n
	}
	if wait >= 0 {
		s.waits[wait] += n
	}
}

func (s *sum) stat(key string) Stat {
	st := Stat{Key: key, Total: s.counts.Total(), Counts: s.counts, Reasons: s.reasons.Of(s.counts), NoReport: int(s.noReport), P50: s.quantile(50), P99: s.quantile(99)}
	delivered, undelivered := s.counts[message.Delivered], s.counts[message.Undelivered]
	if st.Total > 0 {
		st.Success = float64(s.counts[message.Sent]+delivered) / float64(st.Total)
	}
	if delivered+undelivered > 0 {
		rate := float64(delivered) / float64(delivered+undelivered)
		st.DeliveryRate = &rate
	}
	return st
}

// quantile is how long so many percent waited at most, in seconds; nil where none did.
func (s *sum) quantile(percent int64) *float64 {
	total := int64(0)
	var steps []int64
	for step, n := range s.waits {
		total += n
		steps = append(steps, step)
	}
	if total == 0 {
		return nil
	}
	slices.Sort(steps)
	below := int64(0)
	for _, step := range steps {
		if below += s.waits[step]; below*100 >= total*percent {
			seconds := waitIn(step)
			return &seconds
		}
	}
	return nil
}
