package e2e_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
)

// A store that is not mounted for a while costs a batch time and no message, also where
// somebody starts another large batch meanwhile.
func TestABatchOutlivesAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	if s3 != nil {
		t.Skip("a bucket is not unmounted")
	}
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		require.NoError(t, l.store.Close())
		var away atomic.Int64
		var err error
		l.store, err = store.Open(t.Context(), "file://"+l.dir, store.Options{Away: func() { away.Add(1) }}) // the lab closes it
		require.NoError(t, err)
		l.starter = l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy})
		l.serve(t)
		all := notes(t, 2_500)
		for i := 1_000; i < len(all); i++ {
			all[i].SendAfter = "1h"
		}
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sent] == 1_000 })

		there := l.dir + "-unmounted"
		require.NoError(t, os.Rename(l.dir, there))
		require.NoError(t, os.Mkdir(l.dir, 0o700))
		_, err = l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "0s"})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return away.Load() > 0 }, 5*time.Minute, 10*time.Millisecond, "a worker asks for what is left")

		other := l.request(t, l.served[0].Name, "Hi ${name}", notes(t, 1_100))
		other.ID += "-other"
		_, err = l.starter.Start(t.Context(), other)
		require.ErrorIs(t, err, starter.ErrStoreAway)
		_, err = l.starter.SetupStore(t.Context(), false)
		require.ErrorIs(t, err, starter.ErrStoreAway)
		asked := away.Load()
		require.Eventually(t, func() bool { return away.Load() > asked }, 5*time.Minute, 10*time.Millisecond, "it asks again")

		require.NoError(t, os.RemoveAll(l.dir)) // what was being written may have come into it, and does not count
		require.NoError(t, os.Rename(there, l.dir))
		status, rows := l.wait(t, ref)
		require.Equal(t, message.BatchCompleted, status.State)
		require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
		l.agree(t, rows)
		_, err = l.starter.Start(t.Context(), other)
		require.NoError(t, err)
		l.wait(t, other.Ref)
	})
}
