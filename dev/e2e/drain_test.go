package e2e_test

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/workflows/contract"
)

// A worker that is told to end takes nothing more, not even by polls that were under way:
// what they brought would be given up with it, and the provider would have to be asked.
func TestAWorkerThatDrainsLeavesNoAttemptInDoubt(t *testing.T) {
	t.Parallel()
	const drains = 6
	inBothWays(t, 100*time.Millisecond, func(t *testing.T, l *lab) {
		all := notes(t, 600)
		for i := range all {
			all[i].To += "+slow"
		}
		l.served[0].Rate = 40
		cfg := l.config(t, queueOf(t), l.served[0].Name)
		work := func() *exec.Cmd {
			return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), "worker", "--config", cfg, "--listen", "")
		}
		w := work()
		ref := l.large(t, all)
		for i := range drains {
			l.some(t, int64((i+1)*len(all)/(drains+2)))
			next := work()
			l.some(t, int64((i+1)*len(all)/(drains+2))+20) // both send
			require.NoError(t, w.Process.Signal(syscall.SIGTERM))
			require.NoError(t, w.Wait())
			w = next
		}
		require.Less(t, l.sandbox.Counts().Total, int64(len(all)), "the last one drained in the middle")
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
		l.agree(t, rows)
		doubts := 0
		for _, e := range l.all(t, ref) {
			if e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == contract.ReconcileName {
				doubts++
			}
		}
		t.Logf("%d drains left %d attempts in doubt", drains, doubts)
		require.Zero(t, doubts)
	})
}
