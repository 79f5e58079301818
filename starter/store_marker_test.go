package starter_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
)

// A folder that is not mounted is not made a store while batches run out of the one
// that belongs there: what is not found in a store is lost.
func TestAnEmptyFolderIsNoNewStoreWhileABatchRuns(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	b := newBigOn(t, starter.Options{StoreURL: "file://" + root}, "file://"+root)
	b.startBig(t, 1500)
	require.NoError(t, os.Rename(root, root+"-gone"))
	require.NoError(t, os.Mkdir(root, 0o700))

	other := starter.Request{Ref: starter.Ref{ID: "b"}}
	_, err := b.StartLarge(t.Context(), other, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrStoreAway)
	require.ErrorIs(t, err, starter.ErrStore)
	require.ErrorIs(t, err, store.ErrAway)
	require.ErrorContains(t, err, "batch b: the store is away: batch a runs out of the store, file://"+root+", which has to be mounted again")
	_, err = b.SetupStore(t.Context(), false)
	require.ErrorIs(t, err, starter.ErrStoreAway)
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, entries)

	gone := root + "-gone"
	require.NoError(t, os.Remove(filepath.Join(gone, "volley-store")))
	require.NoError(t, os.Remove(root))
	require.NoError(t, os.Rename(gone, root))
	made, err := b.SetupStore(t.Context(), false)
	require.NoError(t, err, "it has the batch, and lacks only the marker")
	require.True(t, made)

	require.NoError(t, os.Rename(root, gone))
	b.fake.lists = nil
	made, err = b.SetupStore(t.Context(), true)
	require.NoError(t, err)
	require.True(t, made)
	require.Empty(t, b.fake.lists, "nothing is asked")
	require.NoError(t, os.RemoveAll(root))

	b.fake.flows["batch-a"].status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	b.fake.order = nil // the fake lists what has ended, too
	made, err = b.SetupStore(t.Context(), false)
	require.NoError(t, err)
	require.True(t, made)
	made, err = b.SetupStore(t.Context(), false)
	require.NoError(t, err)
	require.False(t, made)
}

// Where nobody says whether batches run, the store is not taken for a new one.
func TestNoStoreIsMadeWhileTemporalDoesNotSayWhatRuns(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	b.fake.beforeLists(func(context.Context) error { return serviceerror.NewUnavailable("no answer") })
	_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrUnreachable)
	require.NotErrorIs(t, err, starter.ErrStoreAway)
	require.Empty(t, b.fake.flows)
	require.Zero(t, b.folders(t))
}

func TestNothingCountsAsDeletedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	b := newBigOn(t, starter.Options{StoreURL: "file://" + root}, "file://"+root)
	b.startBig(t, 1500)
	dir := b.input(t).Large.Dir
	b.fake.flow(t, "batch-a").complete(t, message.Result{V: 1, Status: message.Status{ID: "a", Total: 1500, Counts: &message.Counts{message.Canceled: 1500}}, Large: &message.Large{Dir: dir, Segments: "xx"}})
	gone := root + "-gone"
	require.NoError(t, os.Rename(root, gone))
	require.NoError(t, os.Mkdir(root, 0o700))
	require.ErrorIs(t, b.Delete(t.Context(), a), starter.ErrStoreAway)
	_, err := b.Purge(t.Context(), 0, true)
	require.ErrorIs(t, err, starter.ErrStoreAway)

	require.NoError(t, os.Remove(root))
	require.NoError(t, os.Rename(gone, root))
	require.NoError(t, b.Delete(t.Context(), a))
	require.NoDirExists(t, filepath.Join(root, dir))
}
