//go:build linux

package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
)

// objects are the files in a store.
func objects(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	}))
	return all
}

// A disk that is full costs a batch time and no message. Meanwhile no other one starts,
// and one that is refused leaves nothing.
func TestABatchOutlivesAStoreThatIsFull(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		require.NoError(t, l.store.Close())
		if err := syscall.Mount("tmpfs", l.dir, "tmpfs", 0, "size=16m"); err != nil {
			t.Skipf("only who may mount can fill a disk: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(l.dir, syscall.MNT_DETACH) })
		var full atomic.Int64
		var err error
		l.store, err = store.Open(t.Context(), "file://"+l.dir, store.Options{Full: func() { full.Add(1) }}) // the lab closes it
		require.NoError(t, err)
		_, err = l.store.Mark(t.Context(), nil)
		require.NoError(t, err)
		l.starter = l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy})
		l.serve(t)
		all := notes(t, 1_500)
		for i := 1_000; i < len(all); i++ {
			all[i].SendAfter = "1h"
		}
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1_000 })

		ballast := filepath.Join(l.dir, "ballast")
		fill, err := os.Create(ballast)
		require.NoError(t, err)
		for size := 1 << 16; size > 0; size /= 2 { // to the last byte
			for err = nil; err == nil; {
				_, err = fill.Write(make([]byte, size))
			}
		}
		require.NoError(t, fill.Close())
		before := objects(t, l.dir)
		other := l.request(t, l.served[0].Name, "Hi ${name}", notes(t, 1_100))
		other.ID += "-other"
		_, err = l.starter.Start(t.Context(), other)
		require.ErrorIs(t, err, starter.ErrStore)
		require.ErrorContains(t, err, "no space left on device")
		_, err = l.starter.Status(t.Context(), other.Ref)
		require.ErrorIs(t, err, starter.ErrNotFound)
		require.Equal(t, before, objects(t, l.dir), "it leaves nothing")
		refused := full.Load()
		_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "0s"})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return full.Load() > refused+1 }, 5*time.Minute, 10*time.Millisecond, "a worker writes what became of it, again and again")

		require.NoError(t, os.Remove(ballast))
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchCompleted, status.State)
		require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
		l.agree(t, rows)
		_, err = l.starter.Start(t.Context(), other)
		require.NoError(t, err)
		l.wait(t, other.Ref)
	})
}
