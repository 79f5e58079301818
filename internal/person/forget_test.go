package person_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
	"volley/internal/store"
	"volley/starter"
)

const (
	number = "+4915123456789"
	text   = "your green umbrella"
)

func noon() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) }

var errAway = errors.New("it is away")

// fakeBatches is Temporal: the histories of batches by their ids, and what was asked for.
type fakeBatches struct {
	histories map[string]starter.Histories
	canceled  map[string][]string
	// away is the error of a batch's histories, from the given call on.
	away   map[string]int
	n      map[string]int
	listed []starter.Listed
}

func (f *fakeBatches) Status(_ context.Context, ref starter.Ref) (message.Status, error) {
	return message.Status{ID: ref.ID, Metadata: json.RawMessage("{}")}, nil
}

func (f *fakeBatches) Message(context.Context, starter.Ref, string) (message.Row, error) {
	return message.Row{}, starter.ErrNotFound
}

func (f *fakeBatches) Cancel(_ context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
	f.canceled[ref.ID] = append(f.canceled[ref.ID], q.Messages...)
	var res message.CancelResult
	res.Counts.Canceled = len(q.Messages)
	return res, nil
}

func (f *fakeBatches) Listed(_ context.Context, q starter.ListedQuery) iter.Seq2[starter.Listed, error] {
	return func(yield func(starter.Listed, error) bool) {
		for _, l := range f.listed {
			if (l.Open || l.Closed.After(q.Since)) && !yield(l, nil) {
				return
			}
		}
	}
}

func (f *fakeBatches) Histories(_ context.Context, ref starter.Ref) (starter.Histories, error) {
	f.n[ref.ID]++
	if from := f.away[ref.ID]; from > 0 && f.n[ref.ID] >= from {
		return starter.Histories{}, errAway
	}
	h, ok := f.histories[ref.ID]
	if !ok {
		return h, starter.ErrNotFound
	}
	return h, nil
}

// place is an index, a store and batches with a person's messages: a small one that has ended, a
// large one that has, one that waits, and one that Temporal does not have any more.
type place struct {
	person.Records
	batches *fakeBatches
	dir     string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: t.TempDir(), batches: &fakeBatches{histories: map[string]starter.Histories{}, canceled: map[string][]string{}, away: map[string]int{}, n: map[string]int{}}}
	x, err := index.Open(t.Context(), index.Options{URL: "sqlite://" + filepath.ToSlash(filepath.Join(p.dir, "index.db")), Now: noon})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	s, err := store.Open(t.Context(), "file://"+filepath.ToSlash(filepath.Join(p.dir, "store")), store.Options{Create: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p.Records = person.Records{Index: x, Batches: p.batches, Store: s}
	for _, id := range []string{"gone", "large", "small", "waits"} {
		state := message.BatchCompleted
		h := starter.Histories{Workflow: "batch-" + id, Open: id == "waits", Created: noon().Add(-time.Hour), Until: noon().Add(time.Hour)}
		if h.Open {
			state, h.Until = message.BatchScheduled, time.Time{}
		}
		if id == "large" {
			h.Dir = p.large(t, id)
		}
		if id != "gone" {
			p.batches.histories[id] = h
		}
		b := index.Batch{Tenant: "default", ID: id, State: state, Total: 3, CreatedAt: noon().Add(-time.Hour), AsOf: noon(), Rev: 1}
		require.NoError(t, x.Put(t.Context(), b, []index.Message{{Index: 0, To: "+4915100000001", Rev: 1}, {Index: 1, To: number, Reference: "c-4001", State: message.Failed, Detail: "no " + number, Rev: 1}}))
	}
	return p
}

// large writes a large batch, whose result repeats a recipient.
func (p *place) large(t *testing.T, id string) (dir string) {
	t.Helper()
	h := &message.Batch{
		V: message.Version, ID: id, Tenant: "default", CreatedAt: noon().Add(-time.Hour), Dialect: "volley", TTL: 60_000,
		Template: message.Template{Body: json.RawMessage(`{"text":"Hi"}`), Syntax: message.SyntaxBraces},
		Hops:     [][]message.Hop{{{Account: "eu"}}}, Policies: map[string]message.Policy{"eu": {}},
	}
	w, err := p.Store.Create(t.Context(), h, store.WriteOptions{TempDir: t.TempDir()})
	require.NoError(t, err)
	for _, m := range []message.Message{{To: "+4915100000001"}, {To: number, Reference: "c-4001", Body: json.RawMessage(`{"text":"` + text + `"}`)}, {To: "+4915100000002"}} {
		require.NoError(t, w.Add(t.Context(), &m))
	}
	_, err = w.Finish(t.Context())
	require.NoError(t, err)
	st := message.Status{ID: id, Tenant: "default", State: message.BatchCompleted, Reasons: message.Reasons{{State: message.Failed, Code: "http_400", Count: 1, Detail: "no " + number}}}
	require.NoError(t, p.Store.KeepResult(t.Context(), w.Dir(), &message.Result{V: message.Version, Status: st}))
	return w.Dir()
}

// left are the files that have what names the person.
func (p *place) left(t *testing.T) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, value := range []string{number[1:], "c-4001", text} {
			if strings.Contains(string(raw), value) {
				files = append(files, strings.TrimPrefix(path, p.dir)+" has "+value)
			}
		}
		return err
	}))
	return files
}

func (p *place) forget(t *testing.T, dryRun bool) (*person.Forgotten, error) {
	t.Helper()
	return p.Forget(t.Context(), person.Query{Tenant: "default", Text: "0151 23456789", Region: "DE"}, dryRun)
}

func TestADryRunSaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := p.left(t)
	f, err := p.forget(t, true)
	require.NoError(t, err)
	require.Equal(t, []int{4, 4, 0}, []int{f.Messages, f.Rows, f.Objects})
	require.Nil(t, f.Canceled)
	require.Equal(t, []string{"waits"}, f.Again)
	require.Empty(t, p.batches.canceled)
	require.Equal(t, before, p.left(t))
}

func TestWhatCannotBeReachedIsNamed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	f, err := p.forget(t, false)
	require.NoError(t, err)
	until := noon().Add(time.Hour)
	require.Equal(t, []person.History{
		{Batch: "large", Workflow: "batch-large", Until: &until, Large: true}, {Batch: "small", Workflow: "batch-small", Until: &until}, {Batch: "waits", Workflow: "batch-waits"},
	}, f.Histories, "not that of a batch that Temporal does not have any more")
	for _, place := range []string{"backups", "providers", "callbacks", "logs", "WAL"} {
		require.Contains(t, strings.Join(f.Unreached, "\n"), place)
	}
	require.Equal(t, map[string][]string{"waits": {message.KeyOf("batch-waits").MessageID(1)}}, p.batches.canceled, "what waits is canceled, and of nobody else")
	require.Equal(t, 1, f.Canceled.Messages)
}

func TestForgettingTwiceIsForgettingOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	f, err := p.forget(t, false)
	require.NoError(t, err)
	require.Equal(t, []int{4, 4}, []int{f.Messages, f.Rows})
	require.Positive(t, f.Objects)
	require.Empty(t, p.left(t))
	again, err := p.forget(t, false)
	require.NoError(t, err)
	require.Equal(t, []int{0, 0, 0}, []int{again.Messages, again.Rows, again.Objects})
	page, err := p.Index.Find(t.Context(), index.FindQuery{To: "+4915100000001"})
	require.NoError(t, err)
	require.Len(t, page.Messages, 4, "others are there")
}

// TestAnObjectThatIsAwayLeavesTheRestToBeForgottenLater has each file of the large batch away once.
func TestAnObjectThatIsAwayLeavesTheRestToBeForgottenLater(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(newPlace(t).dir, "store")
	var names []string
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && !d.IsDir() && strings.Contains(path, "large~") && !strings.HasSuffix(name, ".attrs") {
			names = append(names, name)
		}
		return err
	}))
	require.Contains(t, names, "result")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			found, err := filepath.Glob(filepath.Join(p.dir, "store", "default", "*", "large~*", name))
			require.NoError(t, err)
			if len(found) == 0 {
				found, err = filepath.Glob(filepath.Join(p.dir, "store", "default", "*", "large~*", "*", name))
				require.NoError(t, err)
			}
			require.Len(t, found, 1)
			whole, err := os.ReadFile(found[0])
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(found[0], []byte("damaged"), 0o600))
			_, err = p.forget(t, false)
			require.ErrorContains(t, err, "large")
			require.NotContains(t, err.Error(), number[1:])
			require.NoError(t, os.WriteFile(found[0], whole, 0o600))
			_, err = p.forget(t, false)
			require.NoError(t, err)
			require.Empty(t, p.left(t))
		})
	}
}

// TestWhoIsKilledInBetweenForgetsTheRestNextTime ends it at each question about a batch.
func TestWhoIsKilledInBetweenForgetsTheRestNextTime(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"gone", "large", "small", "waits"} {
		for call := 1; call <= 2; call++ {
			p := newPlace(t)
			p.batches.away[id] = call
			_, err := p.forget(t, false)
			if err == nil {
				require.Equal(t, []any{"gone", 2}, []any{id, call}, "it is not asked for twice")
				continue
			}
			require.ErrorIs(t, err, errAway)
			require.NotEmpty(t, p.left(t))
			p.batches.away = map[string]int{}
			_, err = p.forget(t, false)
			require.NoError(t, err)
			require.Empty(t, p.left(t), "%s, %d", id, call)
		}
	}
}

// What the index lacks cannot be forgotten, and would never be found again.
func TestNobodyIsForgottenWhileTheIndexLacksBatches(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Patience = time.Millisecond
	p.batches.listed = []starter.Listed{
		{Ref: starter.Ref{Tenant: "other", ID: "theirs"}, Open: true},
		{Ref: starter.Ref{Tenant: "default", ID: "old"}, Closed: noon().Add(-2 * time.Hour)},
	}
	q := person.Query{Tenant: "default", Text: number}
	_, err := p.Forget(t.Context(), q, true)
	require.NoError(t, err, "neither another tenant's nor what ended long before concerns them")
	p.batches.listed = append(p.batches.listed, starter.Listed{Ref: starter.Ref{Tenant: "default", ID: "new"}, Open: true})
	for _, do := range []func() error{
		func() error { _, err := p.Forget(t.Context(), q, true); return err },
		func() error { _, err := p.Forget(t.Context(), q, false); return err },
		func() error { _, err := p.Export(t.Context(), q, noon()); return err },
	} {
		err := do()
		require.ErrorIs(t, err, index.ErrUnavailable)
		require.EqualError(t, err, "the index lacks batches that workers take in (new): nothing was done, try again")
	}
	require.Empty(t, p.batches.canceled)
	b := index.Batch{Tenant: "default", ID: "new", State: message.BatchRunning, Total: 1, CreatedAt: noon(), AsOf: noon(), Rev: 1}
	require.NoError(t, p.Index.Advance(t.Context(), b, []index.Message{{Index: 0, To: number, Rev: 1}}, index.Step{To: index.Position{Rev: 1}}))
	p.batches.histories["new"] = starter.Histories{Workflow: "batch-new", Open: true, Created: noon()}
	_, err = p.Forget(t.Context(), q, false)
	require.NoError(t, err)
	require.Contains(t, p.batches.canceled, "new")
}
