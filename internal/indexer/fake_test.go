package indexer_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// fakeBatch is a batch as Temporal and the store have it.
type fakeBatch struct {
	listed   starter.Listed
	status   message.Status
	rows     []message.Row
	segments string
	// hidden keeps it from lists, and late shows who took late reports.
	hidden bool
	late   *starter.Listed
	err    error
}

// fakeBatches is Temporal and the store in memory. A piece of rows has two.
type fakeBatches struct {
	mu        sync.Mutex
	all       map[starter.Ref]*fakeBatch
	snapshots map[string]int
	read      int // rows
	takes     time.Duration
	err       error
	deleted   []starter.Deleted
}

// Deleted yields all that were deleted, whenever that was.
func (f *fakeBatches) Deleted(context.Context, time.Time) iter.Seq2[starter.Deleted, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	some, err := slices.Clone(f.deleted), f.err
	return func(yield func(starter.Deleted, error) bool) {
		if err != nil {
			yield(starter.Deleted{}, err)
			return
		}
		for _, d := range some {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func newBatches() *fakeBatches {
	return &fakeBatches{all: map[starter.Ref]*fakeBatch{}, snapshots: map[string]int{}}
}

// add puts in a batch whose messages have the given states, with revs from 1 on.
func (f *fakeBatches) add(id string, state message.BatchState, states ...message.State) *fakeBatch {
	now := time.Now()
	b := &fakeBatch{
		listed: starter.Listed{Ref: starter.Ref{Tenant: "default", ID: id}, Run: "run-" + id, Open: true, State: state, Started: now},
		status: message.Status{Tenant: "default", ID: id, State: state, CreatedAt: now, AsOf: now, Total: len(states)},
	}
	for i, s := range states {
		b.rows = append(b.rows, message.Row{Index: i, ID: fmt.Sprint(id, "-", i), To: fmt.Sprintf("+4915112345%03d", i), State: s, Rev: int64(i + 1)})
	}
	b.status.Rev = int64(len(states))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[b.listed.Ref] = b
	b.count()
	if state.Closed() {
		b.end(state)
	}
	return b
}

// states are those of the messages.
func (b *fakeBatch) states() (all []message.State) {
	for i := range b.rows {
		all = append(all, b.rows[i].State)
	}
	return all
}

func (b *fakeBatch) count() {
	var n message.Counts
	for i := range b.rows {
		n[b.rows[i].State]++
	}
	b.status.Counts, b.status.AsOf = &n, time.Now()
}

func (b *fakeBatch) end(state message.BatchState) {
	b.listed.Open, b.listed.State, b.listed.Closed = false, state, time.Now()
	b.status.State = state
}

// change moves a message to a state.
func (f *fakeBatches) change(b *fakeBatch, i int, s message.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.status.Rev++
	b.rows[i].State, b.rows[i].Rev = s, b.status.Rev
	b.count()
}

func (f *fakeBatches) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeBatches) Listed(_ context.Context, q starter.ListedQuery) iter.Seq2[starter.Listed, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []starter.Listed
	for _, b := range f.all {
		l := b.listed
		ended := !l.Open && !l.Closed.Before(q.Since)
		if !b.hidden && (l.Open && q.Open || ended && q.Closed) {
			found = append(found, l)
		}
		if b.late != nil && q.Late && !b.late.Closed.Before(q.Since) {
			found = append(found, *b.late)
		}
	}
	err := f.err
	return func(yield func(starter.Listed, error) bool) {
		if err != nil {
			yield(starter.Listed{}, err)
			return
		}
		for _, l := range found {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (f *fakeBatches) Snapshot(_ context.Context, l starter.Listed) (starter.Snapshot, error) {
	time.Sleep(f.takes) // of synctest's time
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots[l.ID]++
	b := f.all[l.Ref]
	if b == nil {
		return starter.Snapshot{}, starter.ErrNotFound
	}
	if b.err != nil {
		return starter.Snapshot{}, b.err
	}
	rows := slices.Clone(b.rows)
	return starter.Snapshot{Status: b.status, Segments: b.segments, Rows: func(_ context.Context, q starter.RowsQuery) iter.Seq2[starter.Rows, error] {
		return func(yield func(starter.Rows, error) bool) {
			first := 0
			_, _ = fmt.Sscan(q.Cursor, &first)
			for ; first < len(rows); first += 2 {
				var out starter.Rows
				for _, r := range rows[first:min(first+2, len(rows))] {
					if r.Rev > q.Since {
						out.Messages = append(out.Messages, r)
						f.set(func() { f.read++ })
					}
				}
				out.Next = fmt.Sprint(first + 2)
				if !yield(out, nil) {
					return
				}
			}
		}
	}}, nil
}

func (f *fakeBatches) asked(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshots[id]
}

// fakeIndex is an index in memory.
type fakeIndex struct {
	mu        sync.Mutex
	batches   map[starter.Ref]index.Batch
	messages  map[starter.Ref]map[int]index.Message
	positions map[starter.Ref]index.Position
	owner     string
	until     time.Time
	term      int64
	expired   int
	campaigns []index.Stat
	stats     []index.StatsQuery
	// away is the error of every call, and onPut is called with each put before it counts.
	away  error
	onPut func(n int) error
	puts  int
}

func newIndex() *fakeIndex {
	return &fakeIndex{batches: map[starter.Ref]index.Batch{}, messages: map[starter.Ref]map[int]index.Message{}, positions: map[starter.Ref]index.Position{}}
}

func (x *fakeIndex) set(do func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	do()
}

func (x *fakeIndex) Advance(_ context.Context, b index.Batch, messages []index.Message, s index.Step) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.puts++; x.onPut != nil {
		if err := x.onPut(x.puts); err != nil {
			return err
		}
	}
	ref := starter.Ref{Tenant: b.Tenant, ID: b.ID}
	there, known := x.batches[ref]
	switch {
	case x.away != nil:
		return x.away
	case s.Lease != "" && s.Term != x.term:
		return index.ErrLease
	case x.positions[ref] != s.From, known && !there.CreatedAt.Equal(b.CreatedAt):
		return index.ErrMoved
	}
	if x.messages[ref] == nil {
		x.messages[ref] = map[int]index.Message{}
	}
	x.batches[ref], x.positions[ref] = b, s.To
	for _, m := range messages {
		if m.Rev > x.messages[ref][m.Index].Rev {
			x.messages[ref][m.Index] = m
		}
	}
	return nil
}

func (x *fakeIndex) Position(_ context.Context, tenant, id string) (index.Position, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.positions[starter.Ref{Tenant: tenant, ID: id}], x.away
}

func (x *fakeIndex) Claim(_ context.Context, _, owner string, ttl time.Duration) (int64, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.away != nil {
		return 0, x.away
	}
	if x.owner != owner && time.Now().Before(x.until) {
		return 0, nil
	}
	if x.owner != owner {
		x.term++
	}
	x.owner, x.until = owner, time.Now().Add(ttl)
	return x.term, nil
}

func (x *fakeIndex) Drop(_ context.Context, tenant, id string, before time.Time) (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ref := starter.Ref{Tenant: tenant, ID: id}
	if b, ok := x.batches[ref]; ok && b.State.Closed() && !b.AsOf.Before(before) {
		return false, x.away
	}
	delete(x.batches, ref)
	delete(x.messages, ref)
	delete(x.positions, ref)
	return true, x.away
}

func (x *fakeIndex) Delete(_ context.Context, tenant, id string, created time.Time) (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ref := starter.Ref{Tenant: tenant, ID: id}
	b, ok := x.batches[ref]
	if x.away != nil || !ok || b.CreatedAt.After(created) {
		return false, x.away
	}
	delete(x.batches, ref)
	delete(x.messages, ref)
	delete(x.positions, ref)
	return true, nil
}

func (x *fakeIndex) Stats(_ context.Context, q index.StatsQuery) ([]index.Stat, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stats = append(x.stats, q)
	return x.campaigns, x.away
}

func (x *fakeIndex) Expire(context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expired++
	return x.away
}

// states are those of a batch's messages, by index.
func (x *fakeIndex) states(id string) (all []message.State) {
	x.mu.Lock()
	defer x.mu.Unlock()
	rows := x.messages[starter.Ref{Tenant: "default", ID: id}]
	for i := range len(rows) {
		all = append(all, rows[i].State)
	}
	return all
}
