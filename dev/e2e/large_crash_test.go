package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// spawned is a lab of one test in group dispatch, with an account that can be asked
// and one that cannot, and a function that runs the volley binary as its worker. Its
// configuration has some further lines.
func spawned(t *testing.T, slow time.Duration, further ...string) (l *lab, work func() *exec.Cmd) {
	t.Helper()
	l = shared.own(t, groups, slow)
	sure := l.served[0].Name
	l.served = []provider.Account{l.hook(sure, true), l.hook(sure+"-blind", false)}
	cfg := l.config(t, queueOf(t), sure, sure+"-blind")
	f, err := os.OpenFile(cfg, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintln(f, strings.Join(further, "\n"))
	require.NoError(t, errors.Join(err, f.Close()))
	bin := volley(t)
	return l, func() *exec.Cmd {
		return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, bin, "worker", "--config", cfg, "--listen", "")
	}
}

func TestLargeGroupsOfAWorkerThatIsKilledAreSentOnce(t *testing.T) {
	t.Parallel()
	l, work := spawned(t, 100*time.Millisecond)
	refs := map[string]starter.Ref{}
	for _, a := range l.served {
		t.Run(a.Provider+map[bool]string{true: "", false: "-blind"}[a.Reconcile], func(t *testing.T) {
			all := notes(t, 2_000)
			for i := range all {
				switch {
				case i%100 == 7:
					all[i].To += "+drop"
				case i%5 == 0:
					all[i].To += "+slow"
				}
			}
			refs[a.Name] = l.start(t, l.starter, a.Name, all)
		})
	}
	for _, enough := range []int64{300, 1_200, 2_200} {
		w := work()
		l.some(t, enough)
		kill(w)
	}
	work()

	for _, a := range l.served {
		status, rows := l.wait(t, refs[a.Name])
		require.Equal(t, message.BatchCompleted, status.State)
		l.agree(t, rows)
		doubts, arrived := 0, l.received()
		lost := 0
		for _, row := range rows {
			if row.State != message.Unknown {
				require.Equal(t, message.Sent, row.State, "message %d: %s %s", row.Index, row.Code, row.Detail)
				continue
			}
			require.False(t, a.Reconcile, "the provider could have been asked about message %d", row.Index)
			lost += 1 - arrived[row.ID]
			if doubts++; doubts <= 10 {
				one, err := l.starter.Message(t.Context(), refs[a.Name], row.ID)
				require.NoError(t, err)
				require.Equal(t, message.EventAmbiguous, one.Trail[len(one.Trail)-1].Event)
			}
		}
		t.Logf("%s: %d sent, %d unknown, of which %d never arrived", a.Name, status.Counts[message.Sent], doubts, lost)
	}
}

func TestLargeGroupsOfAWorkerThatIsStoppedLoseNothing(t *testing.T) {
	t.Parallel()
	l, work := spawned(t, 400*time.Millisecond)
	all := notes(t, 800)
	for i := range all {
		all[i].To += "+slow"
	}
	ref := l.start(t, l.starter, l.served[1].Name, all)
	for _, enough := range []int64{100, 300} {
		w := work()
		l.some(t, enough)
		require.NoError(t, w.Process.Signal(syscall.SIGTERM))
		require.NoError(t, w.Wait())
	}
	require.Less(t, l.sandbox.Counts().Total, int64(800), "it stopped in the middle")
	work()
	status, rows := l.wait(t, ref)
	require.Equal(t, 800, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
}

// The histories of a group that timed out are kept for the replay test.
func TestLargeGroupThatIsLostIsDoubtedAndSentAgain(t *testing.T) {
	t.Parallel()
	l, work := spawned(t, 3*time.Second)
	all := notes(t, 150)
	for i := range all {
		all[i].To += "+slow"
	}
	ref := l.large(t, all)
	w := work()
	l.some(t, 20)
	kill(w)
	work()
	status, rows := l.wait(t, ref)
	require.Equal(t, 150, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
	found := 0
	for _, row := range rows {
		one, err := l.starter.Message(t.Context(), ref, row.ID)
		require.NoError(t, err)
		for _, e := range one.Trail {
			if e.Event == message.EventFound {
				found++
			}
		}
	}
	require.GreaterOrEqual(t, found, 20, "what had left was asked for")
	l.replayLarge(t, "group.lost-worker", "group.lost-worker", starter.WorkflowID(ref))
}
