package starter_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
	"volley/workflows/contract"
)

func TestALargeBatchIsRedriven(t *testing.T) {
	t.Parallel()
	b, _ := ended(t)
	t.Run("few messages need no store", func(t *testing.T) {
		got, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled"}})
		require.NoError(t, err)
		require.Equal(t, 501, got.Total)
		require.Equal(t, "a", got.RedriveOf)
		require.Zero(t, got.Segments)
		in := decode[contract.Input](t, b.fake.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
		require.Nil(t, in.Large)
		require.Equal(t, "+15550001001", in.Batch.Messages[0].To)
		require.Zero(t, in.Batch.Messages[0].Due)
		require.Equal(t, "one", in.Batch.HopsOf(&in.Batch.Messages[0])[0].Account)
		again, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled"}})
		require.NoError(t, err)
		require.True(t, again.Existing)
		require.Equal(t, got.ID, again.ID)
	})
	t.Run("many are a large batch", func(t *testing.T) {
		b, _ := ended(t)
		got, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed", "canceled"}})
		require.NoError(t, err)
		require.Equal(t, 1501, got.Total)
		require.Zero(t, got.Rejected)
		require.Equal(t, 2, got.Segments)
		_, err = b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed", "canceled"}, SendAfter: noon.Add(1000 * 24 * time.Hour)})
		require.ErrorIs(t, err, starter.ErrInvalid)
		again, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled", "failed"}})
		require.NoError(t, err)
		require.True(t, again.Existing)
		require.Equal(t, got.ID, again.ID)
		require.Equal(t, "a", again.RedriveOf)
		require.Equal(t, 2, b.folders(t))
	})
	_, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"unknown"}})
	require.ErrorIs(t, err, starter.ErrNotFound)
}

func TestABatchThatWasPurgedIsNotThereAsItWasAccepted(t *testing.T) {
	t.Parallel()
	b, _ := ended(t)
	_, err := b.Accepted(t.Context(), a)
	require.NoError(t, err)
	later := newOn(b, func() time.Time { return time.Now().Add(60 * 24 * time.Hour) })
	_, err = later.Purge(t.Context(), 30*24*time.Hour, false)
	require.NoError(t, err)
	require.Zero(t, b.folders(t))
	_, err = b.Accepted(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNotFound)
}

func TestDeleteRemovesALargeBatchEverywhere(t *testing.T) {
	t.Parallel()
	open, _ := halfway(t)
	err := open.Delete(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrStillRunning)
	require.EqualError(t, err, "delete batch a: the batch still runs, cancel it first")
	require.Equal(t, 1, open.folders(t))

	b, _ := ended(t)
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	made := st.CreatedAt.Truncate(time.Millisecond)
	require.NoError(t, b.Delete(t.Context(), a))
	require.Zero(t, b.folders(t))
	require.Equal(t, []starter.Deleted{{Ref: starter.Ref{Tenant: "default", ID: "a"}, Created: made}}, deleted(t, b.Starter))
	require.Len(t, b.fake.flows, 1, "what says so has ended")
	require.NotEqual(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, b.fake.flow(t, b.fake.order[0]).status)
	require.Equal(t, "batch-a", b.fake.deleted[len(b.fake.deleted)-1])
	require.ErrorIs(t, b.Delete(t.Context(), a), starter.ErrNotFound)
	_, err = b.Status(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNotFound)

	small, f, _ := closedBatch(t, 3)
	require.NoError(t, small.Delete(t.Context(), a))
	require.Equal(t, []string{"batch-a"}, f.deleted)
	require.ErrorIs(t, small.Delete(t.Context(), a), starter.ErrNotFound)
}

// deleted are the batches that were deleted.
func deleted(t *testing.T, s *starter.Starter) (all []starter.Deleted) {
	t.Helper()
	for d, err := range s.Deleted(t.Context(), time.Time{}) {
		require.NoError(t, err)
		all = append(all, d)
	}
	return all
}

func TestDeleteWaitsUntilNothingAnswersAnyMore(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 3)
	f.linger = 2
	require.NoError(t, s.Delete(t.Context(), a))
	require.Negative(t, f.linger)
	_, err := s.Status(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNotFound)
}

func TestDeleteLeavesAStartAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	root := t.TempDir()
	b := newBigOn(t, starter.Options{Now: func() time.Time { return now }}, "file://"+root)
	object := func(name string) string {
		path := filepath.Join(root, "default", "2026-11-20", "a~0123abcd", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		return path
	}
	written := object("segments/0001")
	require.ErrorIs(t, b.Delete(t.Context(), a), starter.ErrNotFound)
	require.FileExists(t, written)

	t.Run("what a deletion has left goes", func(t *testing.T) {
		object("result")
		require.NoError(t, b.Delete(t.Context(), a))
		require.Zero(t, b.folders(t))
	})
	t.Run("what a start left a day ago goes", func(t *testing.T) {
		object("segments/0001")
		later := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return now.Add(25 * time.Hour) }})
		require.NoError(t, later.Delete(t.Context(), a))
		require.Zero(t, b.folders(t))
	})
}

// Configs of several namespaces, as of staging and production, or of several clusters
// may name one bucket.
func TestPurgeAndDeleteLeaveWhatOthersRun(t *testing.T) {
	t.Parallel()
	const retention = 30 * 24 * time.Hour
	at := func(age time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(age) } }
	for name, c := range map[string]struct {
		first, second string // namespaces
		sameCluster   bool
		silent        bool // the clusters do not tell their ids
		old           int  // how many go when they are older than the retention
	}{
		"another namespace":                  {"production", "staging", true, false, 0},
		"another cluster":                    {"default", "default", false, false, 0},
		"another namespace, ids not known":   {"production", "staging", true, true, 0},
		"perhaps another, ids are not known": {"default", "default", false, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "file://" + t.TempDir()
			first := newBigOn(t, starter.Options{Namespace: c.first}, url)
			first.fake.noCluster = c.silent
			first.startBig(t, 1500)
			second := newBigOn(t, starter.Options{}, url)
			second.fake.noCluster = c.silent
			if c.sameCluster {
				second.fake = first.fake
			}
			flows := first.fake.flows
			if c.sameCluster { // the namespaces' own
				first.fake.flows = map[string]*flow{}
				defer func() { first.fake.flows = flows }()
			}
			for age, want := range map[time.Duration]int{25 * time.Hour: 0, retention + time.Hour: c.old} {
				s := starter.New(second.fake.client, starter.Options{Namespace: c.second, Store: second.store, Now: at(age)})
				got, err := s.Purge(t.Context(), retention, true)
				require.NoError(t, err)
				require.Equal(t, want, got.Folders, "%+v", got.List)
				if want == 0 && !c.silent {
					require.ErrorIs(t, s.Delete(t.Context(), a), starter.ErrNotFound)
				}
			}
			require.Equal(t, 1, first.folders(t))
		})
	}
}

// A folder says whose it is without its key, which another namespace has, or nobody any more.
func TestPurgeKnowsWhoseASealedFolderIs(t *testing.T) {
	t.Parallel()
	const retention = 30 * 24 * time.Hour
	keyset, err := encryption.New()
	require.NoError(t, err)
	url := "file://" + t.TempDir()
	open := func(o store.Options) *store.Store {
		s, err := store.Open(t.Context(), url, o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	first := newBigOn(t, starter.Options{Namespace: "production", Store: open(store.Options{Keyset: keyset, Namespace: "production"})}, url)
	first.startBig(t, 1500)
	other := newBig(t, starter.Options{})
	for namespace, want := range map[string]int{"staging": 0, "production": 1} {
		s := starter.New(other.fake.client, starter.Options{
			Namespace: namespace, Store: open(store.Options{Namespace: namespace}), Now: func() time.Time { return time.Now().Add(retention + time.Hour) },
		})
		got, err := s.Purge(t.Context(), retention, true)
		require.NoError(t, err)
		require.Equal(t, want, got.Folders, namespace)
	}
}

func TestPurgeRemovesWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := starter.Options{Now: func() time.Time { return now }}
	t.Run("an open batch stays however old", func(t *testing.T) {
		t.Parallel()
		b := newBig(t, o)
		b.startBig(t, 3)
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return now.AddDate(1, 0, 0) }})
		got, err := s.Purge(t.Context(), 0, false)
		require.NoError(t, err)
		require.Equal(t, starter.Purged{List: []starter.PurgedFolder{}}, got)
		b.fake.flow(t, "batch-a").terminate(now)
		got, err = s.Purge(t.Context(), 0, false)
		require.NoError(t, err)
		require.Zero(t, got.Folders, "nobody has told its end yet")
	})
	t.Run("a batch that ended goes when it is old", func(t *testing.T) {
		t.Parallel()
		b := newBig(t, o)
		b.startBig(t, 3)
		res := message.Result{V: 1, Large: &message.Large{Dir: b.input(t).Large.Dir}}
		require.NoError(t, b.store.KeepResult(t.Context(), res.Large.Dir, &res))
		b.fake.flow(t, "batch-a").complete(t, res)
		got, err := b.Purge(t.Context(), time.Hour, false)
		require.NoError(t, err)
		require.Zero(t, got.Folders)
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return now.Add(2 * time.Hour) }})
		got, err = s.Purge(t.Context(), time.Hour, true)
		require.NoError(t, err)
		require.Equal(t, 1, got.Folders)
		require.Equal(t, starter.PurgeOld, got.List[0].Reason)
		require.Equal(t, "a", got.List[0].Batch)
		require.Positive(t, got.Bytes)
		require.Equal(t, 1, b.folders(t))
		_, err = s.Purge(t.Context(), time.Hour, false)
		require.NoError(t, err)
		require.Zero(t, b.folders(t))
	})
	t.Run("what never started goes after a day", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		b := newBigOn(t, o, "file://"+root)
		b.startBig(t, 3)
		delete(b.fake.flows, "batch-a")
		half := filepath.Join(root, "acme", "2026-11-20", "half~0123abcd", "segments")
		require.NoError(t, os.MkdirAll(half, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(half, "0001"), []byte("x"), 0o600))
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return now.Add(25 * time.Hour) }})
		got, err := b.Purge(t.Context(), 0, false)
		require.NoError(t, err)
		require.Zero(t, got.Folders)
		got, err = s.Purge(t.Context(), 1000*time.Hour, false)
		require.NoError(t, err)
		require.Equal(t, 2, got.Folders)
		require.Equal(t, starter.PurgeUnfinished, got.List[0].Reason)
		require.Equal(t, starter.PurgeOrphaned, got.List[1].Reason)
		require.Zero(t, b.folders(t))
	})
	t.Run("nothing goes when Temporal does not answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now() // the bubble's
			b := newBig(t, starter.Options{Now: func() time.Time { return now }})
			b.startBig(t, 3)
			delete(b.fake.flows, "batch-a")
			b.fake.server.Stop()
			s := starter.New(b.fake.client, starter.Options{Store: b.store, Wait: short, Now: func() time.Time { return now.Add(25 * time.Hour) }})
			_, err := s.Purge(t.Context(), 0, false)
			require.ErrorIs(t, err, starter.ErrUnreachable)
			require.Equal(t, 1, b.folders(t))
		})
	})
	s, _ := newStarter(t, starter.Options{})
	_, err := s.Purge(t.Context(), 0, false)
	require.ErrorIs(t, err, starter.ErrInvalid)
}
