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
		b := newBig(t, starter.Options{Wait: short})
		b.startBig(t, 1500)
		b.fake.onStart(message.Overview{V: 1, Opened: true, Status: message.Status{ID: "a", State: message.BatchRunning, Total: 1500}})
		w := b.fake.flow(t, "batch-a")
		w.query = b.fake.answer
		_, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		w.query = nil
		before := b.fake.called("QueryWorkflow")
		_, err = b.Status(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.Equal(t, before+1, b.fake.called("QueryWorkflow"))
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
