package index_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
)

// world is what was put into an index so far, kept in the simplest way.
type world struct {
	mu   sync.Mutex
	rows map[string]map[int]index.Message
}

func (w *world) put(b index.Batch, ms []index.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows[b.ID] == nil {
		w.rows[b.ID] = map[int]index.Message{}
	}
	for _, m := range ms {
		if old, ok := w.rows[b.ID][m.Index]; !ok || old.Rev < m.Rev {
			w.rows[b.ID][m.Index] = m
		}
	}
}

// stats counts the rows anew.
func (w *world) stats(since time.Time, key func(batch string, m index.Message) string) map[string]message.Counts {
	all := map[string]message.Counts{}
	for id, rows := range w.rows {
		for _, m := range rows {
			if !m.FinishedAt.IsZero() && !m.FinishedAt.Before(since) {
				c := all[key(id, m)]
				c[m.State]++
				all[key(id, m)] = c
			}
		}
	}
	return all
}

// life is a message as it was after each of its changes.
func life(r *rand.Rand, batch, i int) []index.Message {
	due := noon().Add(-time.Duration(r.IntN(72)) * time.Hour)
	m := index.Message{
		Index: i, To: fmt.Sprintf("+49151%07d", batch*1000+i), Reference: fmt.Sprint("c-", batch, "-", i), Channel: []string{"SMS", "WHATSAPP"}[r.IntN(2)],
		Account: []string{"one", "two"}[r.IntN(2)], Country: []string{"DE", "AT", ""}[r.IntN(3)], State: message.Scheduled, DueAt: due, Rev: 1,
	}
	all := []index.Message{m}
	for _, s := range []message.State{message.Accepted, message.Sending, message.Retrying} {
		if r.IntN(2) == 0 {
			m.State = s
			m.Rev++
			all = append(all, m)
		}
	}
	m.State = []message.State{message.Sent, message.Failed, message.Expired}[r.IntN(3)]
	m.FinishedAt = due.Add(time.Duration(r.IntN(100_000)) * time.Millisecond)
	if m.Rev++; m.State == message.Sent {
		m.SentAt, m.ProviderID = m.FinishedAt, fmt.Sprint("p-", batch, "-", i)
	} else {
		m.Code = fmt.Sprint("http_40", r.IntN(3))
	}
	all = append(all, m)
	if m.State == message.Sent && r.IntN(2) == 0 {
		m.State = []message.State{message.Delivered, message.Undelivered}[r.IntN(2)]
		m.FinishedAt = m.FinishedAt.Add(time.Duration(r.IntN(5)) * time.Hour)
		m.Rev += 2
		all = append(all, m)
	}
	return all
}

// pages are all changes of some batches in any order, some of them more than once.
func pages(r *rand.Rand, batches, messages int) (all []struct {
	b  index.Batch
	ms []index.Message
},
) {
	for n := range batches {
		var changes []index.Message
		for i := range messages {
			changes = append(changes, life(r, n, i)...)
		}
		changes = append(changes, changes[:len(changes)/2]...)
		r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		b := batch(fmt.Sprint("b", n))
		b.Metadata = map[string]string{"campaign": []string{"spring", "summer"}[n%2]}
		for some := range slices.Chunk(changes, 1+r.IntN(30)) {
			all = append(all, struct {
				b  index.Batch
				ms []index.Message
			}{b, some})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func requireCounters(t *testing.T, x *index.Index, w *world) {
	t.Helper()
	for by, key := range map[string]func(string, index.Message) string{
		"":              func(string, index.Message) string { return "" },
		"account":       func(_ string, m index.Message) string { return m.Account },
		"country":       func(_ string, m index.Message) string { return m.Country },
		"channel":       func(_ string, m index.Message) string { return m.Channel },
		"code":          func(_ string, m index.Message) string { return m.Code },
		"batch":         func(batch string, _ index.Message) string { return batch },
		"tenant":        func(string, index.Message) string { return "default" },
		"meta.campaign": func(batch string, _ index.Message) string { return []string{"spring", "summer"}[(batch[1]-'0')%2] },
		"meta.other":    func(string, index.Message) string { return "" },
		"hour":          func(_ string, m index.Message) string { return m.FinishedAt.Truncate(time.Hour).Format(time.RFC3339) },
		"day":           func(_ string, m index.Message) string { return m.FinishedAt.Format(time.DateOnly) },
	} {
		for _, since := range []time.Time{noon().Add(-24 * time.Hour), noon().Add(-7 * 24 * time.Hour)} {
			stats, err := x.Stats(t.Context(), index.StatsQuery{By: by, Since: since})
			require.NoError(t, err)
			got := map[string]message.Counts{}
			for _, s := range stats {
				got[s.Key] = s.Counts
				require.Equal(t, s.Counts.Total(), s.Total)
			}
			require.Equal(t, w.stats(since, key), got, "by %q", by)
		}
	}
}

func TestCountersAreThoseOfTheRowsInWhateverOrderTheyCome(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x, w := open(t, nil), &world{rows: map[string]map[int]index.Message{}}
			for i, p := range pages(rand.New(rand.NewPCG(seed, 1)), 4, 30) {
				require.NoError(t, x.Put(t.Context(), p.b, p.ms))
				w.put(p.b, p.ms)
				if i%40 == 0 {
					requireCounters(t, x, w)
				}
			}
			requireCounters(t, x, w)
			requireRows(t, x, w)
		})
	}
}

// requireRows looks every message up.
func requireRows(t *testing.T, x *index.Index, w *world) {
	t.Helper()
	rows := int64(0)
	for id, ms := range w.rows {
		for _, m := range ms {
			rows++
			page, err := x.Find(t.Context(), index.FindQuery{To: m.To, Reference: m.Reference})
			require.NoError(t, err)
			require.Len(t, page.Messages, 1)
			f := page.Messages[0]
			require.Equal(t, []any{id, m.Index, m.State, m.Code, m.Account, m.ProviderID, m.To}, []any{f.Batch, f.Index, f.State, f.Code, f.Account, f.ProviderID, f.To})
			if m.ProviderID != "" {
				page, err = x.Find(t.Context(), index.FindQuery{ProviderID: m.ProviderID})
				require.NoError(t, err)
				require.Len(t, page.Messages, 1)
			}
		}
	}
	s, err := x.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int64{rows, int64(len(w.rows))}, []int64{s.Messages, s.Batches})
}

func TestSeveralTakeInTheSameBatchesAtOnce(t *testing.T) {
	t.Parallel()
	url := address(t)
	w := &world{rows: map[string]map[int]index.Message{}}
	all := pages(rand.New(rand.NewPCG(7, 7)), 3, 40)
	errs := make(chan error, 3)
	for range cap(errs) {
		x := open(t, func(o *index.Options) { o.URL = url }) // each as a process of its own has it
		r := rand.New(rand.NewPCG(rand.Uint64(), 3))
		go func() {
			errs <- func() error {
				for _, i := range r.Perm(len(all)) {
					if err := x.Put(t.Context(), all[i].b, all[i].ms); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	for _, p := range all {
		w.put(p.b, p.ms)
	}
	x := open(t, func(o *index.Options) { o.URL = url })
	requireCounters(t, x, w)
	requireRows(t, x, w)
}

func TestTheSameAgainChangesNothing(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	b, m := batch("b1"), index.Message{To: "+4915112345678", State: message.Sent, DueAt: noon(), SentAt: noon(), FinishedAt: noon(), Rev: 5, Code: "first"}
	require.NoError(t, x.Put(t.Context(), b, []index.Message{m}))
	for _, rev := range []int64{5, 4} {
		m.Rev, m.Code, m.State = rev, "second", message.Failed
		require.NoError(t, x.Put(t.Context(), b, []index.Message{m}))
	}
	stats, err := x.Stats(t.Context(), index.StatsQuery{By: "code", Now: noon()})
	require.NoError(t, err)
	require.Len(t, stats, 1)
	require.Equal(t, "first", stats[0].Key)

	newer := b
	newer.Rev, newer.State = 2, message.BatchCompleted
	require.NoError(t, x.Put(t.Context(), newer, nil))
	require.NoError(t, x.Put(t.Context(), b, nil))
	page, err := x.Batches(t.Context(), index.BatchesQuery{})
	require.NoError(t, err)
	require.Equal(t, message.BatchCompleted, page.Batches[0].State, "an older state does not come back")
}

func TestWhatCannotBePutIsRefused(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	require.ErrorIs(t, x.Put(t.Context(), index.Batch{ID: "b"}, nil), index.ErrInvalid)
	require.ErrorIs(t, x.Put(t.Context(), batch("b1"), []index.Message{{Index: -1}}), index.ErrInvalid)
	require.ErrorIs(t, x.Put(t.Context(), batch("b1"), []index.Message{{Index: message.MaxIndex + 1}}), index.ErrInvalid)
	page, err := x.Batches(t.Context(), index.BatchesQuery{})
	require.NoError(t, err)
	require.Empty(t, page.Batches, "all or nothing")
}
