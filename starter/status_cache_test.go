package starter_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"volley/internal/message"
	"volley/starter"
)

// count counts the questions that a workflow answers.
func count(w *flow) *atomic.Int32 {
	var n atomic.Int32
	query := w.query
	w.query = func(name string, args *commonpb.Payloads) (any, error) {
		n.Add(1)
		return query(name, args)
	}
	return &n
}

// grow adds an event that says nothing.
func (f *fake) grow(t *testing.T, id string) {
	t.Helper()
	w := f.flow(t, id)
	f.mu.Lock()
	defer f.mu.Unlock()
	w.add(noon, enumspb.EVENT_TYPE_TIMER_FIRED, func(*historypb.HistoryEvent) {})
}

func TestABatchIsAskedAgainOnceItsHistoryHasGrown(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	clock := func() time.Time { return noon.Add(time.Duration(now.Load())) }
	s, f, res := openBatchWith(t, 5, starter.Options{Now: clock})
	asked := count(f.flow(t, "batch-a"))
	for range 3 {
		st, err := s.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, res.Status.Counts, st.Counts)
		require.Equal(t, clock(), st.AsOf, "it is how the batch stands now")
		now.Add(int64(time.Minute))
	}
	require.EqualValues(t, 1, asked.Load())

	later := resultOf("a", 4)
	f.flow(t, "batch-a").query = worker(t, later)
	f.grow(t, "batch-a")
	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, later.Status.Counts, st.Counts)
}

func TestABatchWithAnIDThatWasAnotherOnesIsAskedAnew(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 5)
	before, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 5, before.Total)
	f.mu.Lock()
	delete(f.flows, "batch-a")
	f.mu.Unlock()
	start(t, s, request("a", 3))
	f.flow(t, "batch-a").complete(t, resultOf("a", 3))
	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 3, st.Total)
}

func TestALargeBatchThatWaitsIsAskedOnce(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]message.BatchState{"scheduled": message.BatchScheduled, "paused": message.BatchPaused, "running": message.BatchRunning} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, o := halfway(t)
			o.Status.State = state
			b.fake.onStart(o)
			w := b.fake.flow(t, "batch-a")
			w.query = b.fake.answer
			asked := count(w)
			for range 3 {
				st, err := b.Status(t.Context(), a)
				require.NoError(t, err)
				require.Equal(t, 2398, st.Counts[message.Sent], "segments are asked each time")
			}
			want := 1
			if state == message.BatchRunning {
				want = 3
			}
			require.EqualValues(t, want, asked.Load())
		})
	}
}

func TestAWorkerThatIsAwayIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBig(t, starter.Options{Wait: short, Now: time.Now})
		b.startBig(t, 1500)
		b.fake.onStart(message.Overview{V: 1, Opened: true, Status: message.Status{ID: "a", State: message.BatchRunning, Total: 1500}})
		w := b.fake.flow(t, "batch-a")
		w.query = b.fake.answer
		_, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		w.query = nil
		time.Sleep(2 * time.Second) // until then it is as it was
		before := b.fake.called("QueryWorkflow")
		_, err = b.Status(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.Equal(t, before+1, b.fake.called("QueryWorkflow"))
	})
}

// A worker under load answers late. Whoever asks again and again does not wait for it, and
// is told of when the answer is; a change that was asked for is always waited for.
func TestALargeBatchThatAnswersLateIsAsItWasAMomentAgo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBig(t, starter.Options{Wait: time.Minute, Now: time.Now})
		b.startBig(t, 1500)
		told := func(rev int64) message.Overview {
			return message.Overview{V: 1, Opened: true, Large: message.Large{Dir: b.input(t).Large.Dir, Segments: "--"}, Status: message.Status{
				ID: "a", Tenant: "default", State: message.BatchRunning, Total: 1500, CreatedAt: time.Now(), Rev: rev, Counts: &message.Counts{message.Accepted: 1500},
			}}
		}
		b.fake.onStart(told(1))
		w := b.fake.flow(t, "batch-a")
		w.query = b.fake.answer
		ask := func(took time.Duration) (rev int64, asOf time.Time) {
			began := time.Now()
			st, err := b.Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, took, time.Since(began))
			return st.Rev, st.AsOf
		}
		rev, first := ask(0)
		require.EqualValues(t, 1, rev)
		b.fake.onStart(told(2))
		answer := b.fake.answer
		var slow atomic.Int64
		slow.Store(int64(5 * time.Second))
		b.fake.mu.Lock()
		w.query = func(name string, args *commonpb.Payloads) (any, error) {
			time.Sleep(time.Duration(slow.Load()))
			return answer(name, args)
		}
		b.fake.mu.Unlock()
		time.Sleep(500 * time.Millisecond)
		rev, asOf := ask(15 * time.Millisecond)
		require.EqualValues(t, 1, rev)
		require.True(t, asOf.Equal(first), "it says when that was")
		time.Sleep(time.Second)
		rev, _ = ask(4*time.Second - 15*time.Millisecond)
		require.EqualValues(t, 2, rev, "what is older than a second is waited for")

		slow.Store(0)
		ask(0)
		time.Sleep(time.Millisecond)
		slow.Store(int64(3 * time.Second))
		ask(15 * time.Millisecond) // its question is under way at the change
		slow.Store(0)
		w.update = func(string, *commonpb.Payloads) (any, error) { return message.CancelResult{}, nil }
		_, err := b.Cancel(t.Context(), a, message.CancelRequest{})
		require.NoError(t, err)
		slow.Store(int64(5 * time.Second))
		ask(5 * time.Second) // what may have changed is waited for
	})
}

func TestALotOfMetadataIsNotKept(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 5)
	res.Status.Metadata = []byte(`{"k":"` + strings.Repeat("x", 20<<10) + `"}`)
	f.flow(t, "batch-a").query = worker(t, res)
	asked := count(f.flow(t, "batch-a"))
	for range 2 {
		_, err := s.Status(t.Context(), a)
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, asked.Load())
}
