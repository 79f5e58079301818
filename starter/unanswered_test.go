package starter_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// methods whose answers tests lose.
const (
	startMethod    = "StartWorkflowExecution"
	describeMethod = "DescribeWorkflowExecution"
	updateMethod   = "UpdateWorkflowExecution"
	signalMethod   = "SignalWorkflowExecution"
	healthMethod   = "Check"
)

// lossy is a starter with a second way to a fake that loses answers.
type lossy struct {
	*starter.Starter
	*fake
	dialed *atomic.Int32
	clock  *atomic.Int64 // what has passed, in nanoseconds
}

func newLossy(t *testing.T, o starter.Options) lossy {
	t.Helper()
	l := lossy{fake: newFake(t), dialed: &atomic.Int32{}, clock: &atomic.Int64{}}
	o.Now = func() time.Time { return noon.Add(time.Duration(l.clock.Load())) }
	o.Redial = func(ctx context.Context) (client.Client, error) {
		l.dialed.Add(1)
		return l.fake.dial(ctx)
	}
	l.Starter = starter.New(l.fake.client, o)
	return l
}

// count is how many batches the server has.
func (l lossy) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flows)
}

func TestAStartThatIsAnsweredTakesOneCall(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	start(t, l.Starter, request("a", 3))
	require.Equal(t, 1, l.called(startMethod))
	require.Zero(t, l.called(describeMethod))
	require.Zero(t, l.dialed.Load())
}

func TestAStartWhoseAnswerIsLostIsAskedForOnAnotherConnection(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.lose(startMethod, 1)
	got := start(t, l.Starter, request("a", 3))
	require.Equal(t, "a", got.ID)
	require.Equal(t, 3, got.Total)
	require.False(t, got.Existing, "this call started it")
	require.Equal(t, 2, l.called(startMethod))
	require.EqualValues(t, 1, l.dialed.Load())
	require.Equal(t, 1, l.count())
	require.True(t, start(t, l.Starter, request("a", 3)).Existing)
}

func TestAStartThatFindsTheBatchOfAnotherAfterALostAnswerSaysSo(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	start(t, l.Starter, request("a", 3))
	l.lose(startMethod, 1)
	r := request("a", 3)
	r.Batch.CreatedAt = noon.Add(time.Minute)
	require.True(t, start(t, l.Starter, r).Existing)
	l.lose(startMethod, 1)
	r.Body = []byte("other")
	_, err := l.Starter.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrConflict)
}

func TestAStartOfWhichNobodyCanSayNamesItsBatch(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]map[string]int{
		"both starts":                  {startMethod: 2},
		"the start and its look after": {startMethod: 1, describeMethod: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLossy(t, starter.Options{})
			for method, n := range lost {
				l.lose(method, n)
			}
			r := request("", 3)
			r.Tenant = "acme"
			got, err := l.Starter.Start(t.Context(), r)
			var may *starter.MayHaveStartedError
			require.ErrorAs(t, err, &may)
			require.ErrorIs(t, err, starter.ErrMayHaveStarted)
			require.NotErrorIs(t, err, starter.ErrUnreachable)
			require.Equal(t, starter.Ref{Tenant: "acme", ID: got.ID}, may.Ref)
			l.flow(t, "batch-acme/"+got.ID)
			require.ErrorContains(t, err, got.ID+" may have started")
		})
	}
}

func TestAServerWithoutItsNamespaceDoesNotSayWhatBecameOfAStart(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.lose(startMethod, 1)
	l.noName = true
	got, err := l.Starter.Start(t.Context(), request("", 3))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	l.flow(t, "batch-"+got.ID)
}

func TestTheSameContentRepeatsAStartOfWhichNobodyCouldSay(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.lose(startMethod, 2)
	first, err := l.Starter.Start(t.Context(), request("", 3))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)

	for _, change := range []func(*starter.Request){
		func(r *starter.Request) { r.Body = []byte("other") },
		func(r *starter.Request) { r.Tenant = "acme" },
		func(r *starter.Request) { r.Flags = map[string]string{"ttl": "1h"} },
		func(r *starter.Request) { r.Batch.Dialect = "bird" },
		func(r *starter.Request) { r.IdempotencyKey = "k" },
		func(r *starter.Request) { r.ID = "b" },
	} {
		r := request("", 3)
		change(&r)
		require.NotEqual(t, first.ID, start(t, l.Starter, r).ID)
	}
	before := l.count()
	for range 2 {
		got := start(t, l.Starter, request("", 3))
		require.Equal(t, first.ID, got.ID)
		require.True(t, got.Existing)
	}
	require.Equal(t, before, l.count())
	l.clock.Store(int64(10 * time.Minute))
	require.NotEqual(t, first.ID, start(t, l.Starter, request("", 3)).ID)
}

func TestTheSameContentIsTwoBatchesWhereTheFirstWasAnswered(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.lose(startMethod, 1)
	first := start(t, l.Starter, request("", 3))
	second := start(t, l.Starter, request("", 3))
	require.NotEqual(t, first.ID, second.ID)
	l.ExpectRepeat(second)
	third := start(t, l.Starter, request("", 3))
	require.Equal(t, second.ID, third.ID, "its caller was not told")
	require.True(t, third.Existing)
}

func TestAStartThatNeverLeftHasStartedNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.startError = serviceerror.NewUnavailable("nobody is there")
		sent := false
		s := starter.New(f.client, starter.Options{
			Wait:         short,
			TrackAnswers: func(ctx context.Context) (context.Context, func() bool) { return ctx, func() bool { return sent } },
		})
		_, err := s.Start(t.Context(), request("", 1))
		require.ErrorIs(t, err, starter.ErrUnreachable)
		sent = true
		_, err = s.Start(t.Context(), request("", 1))
		require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	})
}

// The first start may run although the repetition never left.
func TestARepetitionThatNeverLeavesIsStillUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.startError = serviceerror.NewUnavailable("nobody is there")
		sent := true
		s := starter.New(f.client, starter.Options{
			Wait:         short,
			TrackAnswers: func(ctx context.Context) (context.Context, func() bool) { return ctx, func() bool { return sent } },
		})
		first, err := s.Start(t.Context(), request("", 1))
		require.ErrorIs(t, err, starter.ErrMayHaveStarted)
		sent = false
		again, err := s.Start(t.Context(), request("", 1))
		require.ErrorIs(t, err, starter.ErrMayHaveStarted)
		require.Equal(t, first.ID, again.ID)
		_, err = s.Start(t.Context(), request("b", 1))
		require.ErrorIs(t, err, starter.ErrUnreachable, "that one never left")
	})
}

func TestAStartThatIsRefusedAfterALostAnswerHasStartedNothing(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.startError = serviceerror.NewInvalidArgument("no")
	l.lose(startMethod, 1)
	_, err := l.Starter.Start(t.Context(), request("", 1))
	require.ErrorIs(t, err, starter.ErrInvalid)
}

func TestAStartThatItsCallerGivesUpMayHaveStarted(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	l.onStarted = cancel
	got, err := l.Starter.Start(ctx, request("", 1))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	l.flow(t, "batch-"+got.ID)
}

func newLossyBig(t *testing.T) (lossy, *big) {
	t.Helper()
	b := &big{store: newStore(t, "mem://")}
	l := newLossy(t, starter.Options{Store: b.store})
	l.onStart(message.Overview{V: 1, Opened: true})
	b.Starter, b.fake = l.Starter, l.fake
	return l, b
}

func TestALargeStartWhoseAnswerIsLostIsAskedForAgain(t *testing.T) {
	t.Parallel()
	l, b := newLossyBig(t)
	l.lose(startMethod, 1)
	got := b.startBig(t, 1500)
	require.False(t, got.Existing)
	require.Equal(t, 2, got.Segments)
	require.Equal(t, 1, b.folders(t))
	require.Equal(t, 1, l.count())
}

func TestAStreamRepeatsTheStartOfWhichNobodyCouldSay(t *testing.T) {
	t.Parallel()
	l, b := newLossyBig(t)
	l.lose(startMethod, 2)
	first, err := b.StartLarge(t.Context(), starter.Request{}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	require.Equal(t, 1, b.folders(t), "the batch may need it")

	l.lose(describeMethod, 2)
	again, err := b.StartLarge(t.Context(), starter.Request{}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	require.Equal(t, first.ID, again.ID)

	got, err := b.StartLarge(t.Context(), starter.Request{}, streamOf(1500))
	require.NoError(t, err)
	require.Equal(t, first.ID, got.ID)
	require.True(t, got.Existing)
	require.Equal(t, 2, got.Segments)
	require.Equal(t, 1, b.folders(t), "what a repetition wrote is gone")
	require.Equal(t, 1, l.count())

	other := streamOf(1500)
	other.hash = "other"
	got, err = b.StartLarge(t.Context(), starter.Request{}, other)
	require.NoError(t, err)
	require.NotEqual(t, first.ID, got.ID)
}

func TestAHeldBatchRepeatsTheStartOfWhichNobodyCouldSay(t *testing.T) {
	t.Parallel()
	l, b := newLossyBig(t)
	l.lose(startMethod, 2)
	r := request("", 3)
	r.Batch.Dispatch = "group"
	first, err := b.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	l.lose(describeMethod, 2)
	again, err := b.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrMayHaveStarted, "still nobody can say")
	require.Equal(t, first.ID, again.ID)
	l.lose(describeMethod, 1)
	got := start(t, b.Starter, r)
	require.Equal(t, first.ID, got.ID)
	require.True(t, got.Existing)
	require.Equal(t, 1, b.folders(t))
}

func TestARepetitionWhoseOwnConnectionIsDeadFindsTheBatch(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	l.lose(startMethod, 2)
	first, err := l.Starter.Start(t.Context(), request("", 3))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	for _, method := range []string{startMethod, describeMethod} {
		l.lose(method, 1)
		r := request("", 3)
		r.Batch.CreatedAt = noon.Add(time.Minute)
		got := start(t, l.Starter, r)
		require.Equal(t, first.ID, got.ID)
		require.True(t, got.Existing)
	}
}

func TestAStreamWhoseFirstStartNeverArrivedStarts(t *testing.T) {
	t.Parallel()
	l, b := newLossyBig(t)
	l.lose(startMethod, 2)
	first, err := b.StartLarge(t.Context(), starter.Request{}, streamOf(1500))
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	l.mu.Lock()
	delete(l.flows, "batch-"+first.ID)
	l.mu.Unlock()
	got, err := b.StartLarge(t.Context(), starter.Request{}, streamOf(1500))
	require.NoError(t, err)
	require.False(t, got.Existing)
}

func TestAnUpdateWhoseAnswerIsLostIsAskedForWithTheSameID(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pause", "resume", "reschedule", "cancel"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLossy(t, starter.Options{})
			l.open(t)
			l.lose(updateMethod, 1)
			require.NoError(t, reads(l.Starter, a)[name](t.Context()))
			require.Len(t, l.updates, 2)
			require.Equal(t, l.updates[0], l.updates[1], "the server takes it once")
			require.EqualValues(t, 1, l.dialed.Load())
			require.Empty(t, l.flow(t, "batch-a").signals)
		})
	}
}

func TestAChangeOfWhichNobodyCanSayIsNotCalledUndone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pause", "resume", "reschedule", "cancel"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLossy(t, starter.Options{})
			l.open(t)
			l.lose(updateMethod, 2)
			l.lose(healthMethod, 1)
			err := reads(l.Starter, a)[name](t.Context())
			require.ErrorIs(t, err, starter.ErrMayHaveChanged)
			require.NotErrorIs(t, err, starter.ErrUnreachable)
			require.ErrorContains(t, err, name+" batch a: ")
			require.ErrorContains(t, err, "may have been recorded")
			require.Empty(t, l.flow(t, "batch-a").signals)
		})
	}
}

func TestADeadConnectionIsNotTakenForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLossy(t, starter.Options{Wait: short})
		l.open(t)
		l.flow(t, "batch-a").update = nil // no worker
		l.sound = true
		for _, method := range []string{updateMethod, describeMethod, healthMethod} {
			l.lose(method, 100)
		}
		_, err := l.Pause(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.ErrorContains(t, err, "recorded")
	})
}

func TestASignalWhoseAnswerIsLostIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLossy(t, starter.Options{Wait: short})
		start(t, l.Starter, request("a", 3)) // nobody answers updates
		l.lose(signalMethod, 1)
		got, err := l.Cancel(t.Context(), a, message.CancelRequest{})
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.Equal(t, "a", got.Batch)
		require.Len(t, l.flow(t, "batch-a").signals, 2)
		l.lose(signalMethod, 2)
		_, err = l.Cancel(t.Context(), a, message.CancelRequest{})
		require.ErrorIs(t, err, starter.ErrMayHaveChanged)
	})
}

func TestARedriveOfWhichNobodyCanSayIsTheSameBatchWhenAskedAgain(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	start(t, l.Starter, request("a", 3))
	l.flow(t, "batch-a").complete(t, resultOf("a", 3))
	q := starter.RedriveQuery{States: []string{"canceled", "failed", "expired", "unknown"}}
	l.lose(startMethod, 2)
	first, err := l.Redrive(t.Context(), a, q)
	require.ErrorIs(t, err, starter.ErrMayHaveStarted)
	require.NotContains(t, l.flows, "batch-"+first.ID, "its messages are taken")
	got, err := l.Redrive(t.Context(), a, q)
	require.NoError(t, err)
	require.Equal(t, first.ID, got.ID)
	require.False(t, got.Existing)
	again, err := l.Redrive(t.Context(), a, q)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.True(t, again.Existing)
}

func TestALargeStartSaysThatNoWorkerHasOpenedIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBig(t, starter.Options{Wait: short})
		require.False(t, b.startBig(t, 1500).Unopened)
		b.fake.answer = nil
		got, err := b.StartLarge(t.Context(), starter.Request{Ref: starter.Ref{ID: "b"}}, streamOf(1500))
		require.NoError(t, err)
		require.True(t, got.Unopened)
	})
}

// open starts batch a, whose worker answers.
func (l lossy) open(t *testing.T) {
	t.Helper()
	start(t, l.Starter, request("a", 3))
	res := resultOf("a", 3)
	res.Status.State = message.BatchRunning
	w := l.flow(t, "batch-a")
	w.query = worker(t, res)
	w.update = func(name string, _ *commonpb.Payloads) (any, error) {
		switch name {
		case contract.ControlPause:
			return message.PauseResult{Batch: "a"}, nil
		case contract.ControlResume:
			return message.ResumeResult{Batch: "a"}, nil
		case contract.ControlReschedule:
			return message.RescheduleResult{Batch: "a"}, nil
		}
		return message.CancelResult{Batch: "a", Confirmed: true}, nil
	}
}
