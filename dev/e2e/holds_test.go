package e2e_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// heldNotes is how many messages a test of holds sends: few in one workflow, or more than
// a segment in groups.
func (l *lab) heldNotes(t *testing.T) []note {
	if l.mode == groups {
		return notes(t, 1_500)
	}
	return notes(t, 300)
}

// heldHalfway are such notes that take so long to leave that a hold comes while some wait,
// also on a busy machine.
func (l *lab) heldHalfway(t *testing.T) []note {
	all := l.heldNotes(t)
	l.served[0].Rate = float64(len(all)) / 12
	return all
}

func TestAColdStartSendsNothingThatIsHeld(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		stop, err := l.work(queueOf(t), nil) // which runs workflows and sends nothing
		require.NoError(t, err)
		all := l.heldNotes(t)
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool { return s.Counts[message.Sending] >= 48 })
		stop()

		account := starter.Selector{Account: l.served[0].Name}
		res, err := l.starter.Hold(t.Context(), starter.HoldRequest{Selector: account, Reason: "rotation"})
		require.NoError(t, err, "it needs no worker")
		require.False(t, res.Messages.Known)
		l.serve(t)
		l.until(t, ref, func(s message.Status) bool {
			return s.Counts[message.Accepted] == len(all) && s.Held != nil && s.Held.By == "person" && s.Held.Reason == "rotation"
		})
		l.nothingLeaves(t)
		require.Zero(t, l.sandbox.Counts().Total)

		released, err := l.starter.Release(t.Context(), starter.ReleaseRequest{Selector: account})
		require.NoError(t, err)
		if released.Messages.Known { // counting asks batches, and gives up where they are slow
			require.Equal(t, len(all), released.Messages.Leaving)
		}
		began := time.Now()
		l.some(t, 1)
		t.Logf("the first left %v after the release", time.Since(began).Round(time.Second))
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent])
		l.agree(t, rows)
	})
}

func TestAHoldIsInEffectWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		all := l.heldHalfway(t)
		l.serve(t)
		ref := l.large(t, all)
		l.some(t, 60)
		everything := starter.Selector{Account: l.served[0].Name, From: 1, To: 5}
		_, err := l.starter.Hold(t.Context(), starter.HoldRequest{Selector: everything})
		require.NoError(t, err)
		held := time.Now()
		l.heldNow(t, ref, message.HeldByPerson)
		l.nothingLeaves(t)
		arrived := l.sandbox.Received()
		require.Less(t, len(arrived), len(all))
		for _, r := range arrived {
			require.WithinRange(t, r.At, time.Time{}, held.Add(2*time.Second))
		}
		_, err = l.starter.Release(t.Context(), starter.ReleaseRequest{Selector: starter.Selector{Account: l.served[0].Name}})
		require.ErrorIs(t, err, starter.ErrNotFound, "what is released is what was held")
		_, err = l.starter.Release(t.Context(), starter.ReleaseRequest{Selector: everything})
		require.NoError(t, err)
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent])
		l.agree(t, rows)
	})
}

// nothingLeaves watches for a while that nothing does.
func (l *lab) nothingLeaves(t *testing.T) {
	t.Helper()
	n := l.sandbox.Counts().Total
	require.Never(t, func() bool { return l.sandbox.Counts().Total > n }, 3*time.Second, 50*time.Millisecond)
}

// heldNow waits until nothing is under way and all that has not ended is held.
func (l *lab) heldNow(t *testing.T, ref starter.Ref, by string) {
	t.Helper()
	l.until(t, ref, func(s message.Status) bool {
		waiting := s.Counts[message.Accepted]
		return s.Held != nil && s.Held.By == by && waiting > 0 && waiting == s.Counts.Open()
	})
}

// held holds the account of the lab, and releases it again.
func (l *lab) held(t *testing.T, reason string) (release func()) {
	t.Helper()
	account := starter.Selector{Account: l.served[0].Name}
	_, err := l.starter.Hold(t.Context(), starter.HoldRequest{Selector: account, Reason: reason})
	require.NoError(t, err)
	return func() {
		_, err := l.starter.Release(t.Context(), starter.ReleaseRequest{Selector: account})
		require.NoError(t, err)
	}
}

func TestAWorkerThatIsKilledWhileAnAccountIsHeldSendsNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	inBothWays(t, 300*time.Millisecond, func(t *testing.T, l *lab) {
		all := l.heldHalfway(t)
		cfg, bin := l.config(t, queueOf(t), l.served[0].Name), volley(t)
		work := func() *exec.Cmd {
			return spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, bin, "worker", "--config", cfg, "--listen", "")
		}
		for i := range all {
			all[i].To += "+slow"
		}
		first := work()
		ref := l.large(t, all)
		l.some(t, 60)
		release := l.held(t, "rotation")
		kill(first) // while requests are under way
		second := work()
		l.heldNow(t, ref, message.HeldByPerson)
		l.nothingLeaves(t)
		kill(second) // while all wait
		third := work()
		l.heldNow(t, ref, message.HeldByPerson)
		l.nothingLeaves(t)

		n := l.sandbox.Counts().Total
		require.Less(t, n, int64(len(all)))
		release()
		began := time.Now()
		l.some(t, n+1)
		t.Logf("the first left %v after the release", time.Since(began).Round(time.Second))
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
		l.agree(t, rows)
		kill(third)
	})
}

func TestWhatIsHeldStaysWhereItsWorkflowIsTerminated(t *testing.T) {
	t.Parallel()
	inBothWays(t, 300*time.Millisecond, func(t *testing.T, l *lab) {
		all := l.heldHalfway(t)
		l.serve(t)
		l.serve(t) // two workers
		for i := range all {
			all[i].To += "+slow"
		}
		ref := l.large(t, all)
		l.some(t, 60)
		release := l.held(t, "rotation")
		l.heldNow(t, ref, message.HeldByPerson)
		require.NoError(t, l.client.TerminateWorkflow(t.Context(), contract.HoldsID(queueOf(t)), "", "a test"))
		l.nothingLeaves(t)
		l.serve(t) // a third, which has only what was written
		l.nothingLeaves(t)
		holds, err := l.starter.Holds(t.Context())
		require.NoError(t, err)
		require.Len(t, holds, 1)
		require.Equal(t, "rotation", holds[0].Reason)

		_, err = l.starter.Hold(t.Context(), starter.HoldRequest{Selector: starter.Selector{Meta: "campaign=spring"}})
		require.NoError(t, err, "the workflow begins anew")
		holds, err = l.starter.Holds(t.Context())
		require.NoError(t, err)
		require.Len(t, holds, 2, "with what was held")
		l.nothingLeaves(t)
		require.Less(t, l.sandbox.Counts().Total, int64(len(all)))
		release()
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent], "%v", *status.Counts)
		l.agree(t, rows)
	})
}

// TestAPauseWithoutAWorkerIsRecorded is F12.
func TestAPauseWithoutAWorkerIsRecorded(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, 0)
	impatient := l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 5, Wait: time.Second})
	ref := l.start(t, impatient, l.served[0].Name, notes(t, 40))
	for _, switches := range []func() error{
		func() error { _, err := impatient.Pause(t.Context(), ref); return err },
		func() error { _, err := impatient.Resume(t.Context(), ref); return err },
		func() error { _, err := impatient.Pause(t.Context(), ref); return err },
	} {
		err := switches()
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.ErrorContains(t, err, "recorded")
	}
	l.serve(t)
	l.until(t, ref, func(s message.Status) bool { return s.State == message.BatchPaused && s.Counts[message.Sending] == 0 })
	require.LessOrEqual(t, l.sandbox.Counts().Total, int64(5))
	_, err := l.starter.Resume(t.Context(), ref)
	require.NoError(t, err)
	status, rows := l.wait(t, ref)
	require.Equal(t, 40, status.Counts[message.Sent])
	l.agree(t, rows)
}

// TestAnExpiredKeyBurnsNoCampaign is F1: 899 messages were failed in 8 s.
func TestAnExpiredKeyBurnsNoCampaign(t *testing.T) {
	t.Parallel()
	inBothWays(t, 0, func(t *testing.T, l *lab) {
		right := l.served[0].Secret
		l.served[0].Secret = l.locked().Secret
		stop, err := l.work(queueOf(t), l.served)
		require.NoError(t, err)
		all := l.heldNotes(t)
		ref := l.large(t, all)
		l.until(t, ref, func(s message.Status) bool {
			return s.Counts[message.Accepted] == len(all) && s.Held != nil && s.Held.By == "account"
		})
		holds, err := l.starter.Holds(t.Context())
		require.NoError(t, err)
		require.Len(t, holds, 1)
		require.Equal(t, l.served[0].Name, holds[0].Account)
		require.Contains(t, holds[0].Reason, "credentials")
		stop()

		l.served[0].Secret = right
		l.serve(t)
		status, rows := l.wait(t, ref)
		require.Equal(t, len(all), status.Counts[message.Sent], "by a probe, which the first worker began")
		l.agree(t, rows)
		require.Eventually(t, func() bool {
			holds, err = l.starter.Holds(t.Context())
			return err == nil && len(holds) == 0
		}, 10*time.Second, 50*time.Millisecond)
	})
}
