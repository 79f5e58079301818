package indexer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/index"
	"volley/internal/indexer"
	"volley/internal/message"
	"volley/starter"
)

// run runs a feed beside a test, which may end it.
func run(t *testing.T, b *fakeBatches, x *fakeIndex, change ...func(*indexer.Options)) (stop func()) {
	t.Helper()
	o := indexer.Options{Open: func(context.Context) (indexer.Index, error) { return x, nil }, Batches: b, Owner: t.Name(), Metadata: []string{"campaign"}}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		indexer.New(o).Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAnEndedBatchIsTakenInOnceAndCostsNothingThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		b.add("a", message.BatchCompleted, message.Sent, message.Failed, message.Sent)
		stop := run(t, b, x)
		after(3 * time.Hour)
		require.Equal(t, []message.State{message.Sent, message.Failed, message.Sent}, x.states("a"))
		require.Equal(t, 1, b.asked("a"))
		require.Positive(t, x.expired)
		stop()

		run(t, b, x) // another process knows nothing but what the index says
		after(time.Hour)
		require.Equal(t, 1, b.asked("a"))
	})
}

func TestAnOpenBatchIsTakenInAsItChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		a := b.add("a", message.BatchRunning, message.Sending, message.Accepted)
		run(t, b, x)
		after(5 * time.Second)
		require.Equal(t, []message.State{message.Sending, message.Accepted}, x.states("a"))
		b.change(a, 0, message.Sent)
		after(10 * time.Second)
		require.Equal(t, []message.State{message.Sent, message.Accepted}, x.states("a"))
		b.change(a, 1, message.Sent)
		b.set(func() { a.end(message.BatchCompleted) })
		after(10 * time.Second)
		require.Equal(t, []message.State{message.Sent, message.Sent}, x.states("a"))
		require.Equal(t, message.BatchCompleted, x.batches[a.listed.Ref].State)
		n := b.asked("a")
		after(10 * time.Minute)
		require.Equal(t, n, b.asked("a"))
	})
}

func TestAScheduledBatchIsLeftAloneUntilItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		a := b.add("a", message.BatchScheduled, message.Scheduled)
		b.set(func() { a.listed.Due = time.Now().Add(50 * time.Minute) })
		run(t, b, x)
		after(40 * time.Minute)
		require.Equal(t, []message.State{message.Scheduled}, x.states("a"))
		require.LessOrEqual(t, b.asked("a"), 2, "once, and once with all")
		b.change(a, 0, message.Sent)
		after(11 * time.Minute)
		require.Equal(t, []message.State{message.Sent}, x.states("a"))
	})
}

func TestReportsThatComeAfterTheEndArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		a := b.add("a", message.BatchCompleted, message.Sent, message.Sent)
		run(t, b, x)
		after(30 * time.Minute)
		b.change(a, 1, message.Delivered)
		b.set(func() {
			a.late = &starter.Listed{Ref: a.listed.Ref, Run: "late-1", Late: true, Closed: time.Now(), Started: time.Now()}
		})
		after(10 * time.Second)
		require.Equal(t, []message.State{message.Sent, message.Delivered}, x.states("a"))
		n := b.asked("a")
		after(5 * time.Minute)
		require.Equal(t, n, b.asked("a"), "once")
		b.change(a, 0, message.Undelivered)
		b.set(func() { a.late.Run, a.late.Closed = "late-2", time.Now() })
		after(10 * time.Second)
		require.Equal(t, []message.State{message.Undelivered, message.Delivered}, x.states("a"))
	})
}

func TestWhatTheListShowedTooLateIsFoundByALookAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		run(t, b, x)
		after(10 * time.Minute)
		a := b.add("a", message.BatchCompleted, message.Sent)
		b.set(func() { a.hidden = true })
		after(5 * time.Minute)
		b.set(func() { a.hidden = false })
		after(5 * time.Minute)
		require.Empty(t, x.states("a"))
		after(time.Hour)
		require.Equal(t, []message.State{message.Sent}, x.states("a"))
	})
}

func TestADatabaseThatIsAwayLosesNothingAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		core, logs := observer.New(zap.WarnLevel)
		opened := atomic.Bool{}
		run(t, b, x, func(o *indexer.Options) {
			o.Log = zap.New(core)
			o.Open = func(context.Context) (indexer.Index, error) {
				if !opened.Load() {
					return nil, index.ErrUnavailable
				}
				return x, nil
			}
		})
		after(10 * time.Minute)
		opened.Store(true)
		a := b.add("a", message.BatchRunning, message.Sent, message.Sending)
		after(time.Minute)
		require.Len(t, x.states("a"), 2)
		x.set(func() { x.away = index.ErrUnavailable })
		b.change(a, 1, message.Sent)
		b.set(func() { a.end(message.BatchCompleted) })
		after(10 * time.Minute)
		require.Equal(t, message.Sending, x.states("a")[1])
		x.set(func() { x.away = nil })
		after(time.Minute)
		require.Equal(t, []message.State{message.Sent, message.Sent}, x.states("a"))
		require.Equal(t, 2, logs.Len(), "once each time")
	})
}

func TestAFeedThatDiesGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		states := make([]message.State, 12_000)
		for i := range states {
			states[i] = message.Sent
		}
		b.add("a", message.BatchCompleted, states...)
		x.onPut = func(n int) error {
			if n > 1 { // of three
				return errors.New("killed")
			}
			return nil
		}
		stop := run(t, b, x)
		after(time.Second)
		stop()
		require.Equal(t, 5_000, len(x.states("a"))) //nolint:testifylint // it would print all
		x.set(func() { x.onPut = nil })
		b.read = 0
		run(t, b, x)
		after(time.Minute)
		require.True(t, slices.Equal(states, x.states("a")))
		require.Equal(t, 7_000, b.read, "what was in is not read again")
	})
}

func TestOneProcessFillsTheIndexAndAnotherTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second, x := newBatches(), newBatches(), newIndex()
		stop := run(t, first, x, func(o *indexer.Options) { o.Owner = "1" })
		after(time.Second)
		run(t, second, x, func(o *indexer.Options) { o.Owner = "2" })
		second.add("b", message.BatchCompleted, message.Sent)
		after(10 * time.Minute)
		require.Empty(t, x.states("b"))
		stop()
		after(5 * time.Second)
		require.Equal(t, []message.State{message.Sent}, x.states("b"))
	})
}

func TestABatchThatCannotBeReadKeepsNobodyBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		bad := b.add("bad", message.BatchCompleted, message.Sent)
		b.set(func() { bad.err = errors.New("damaged") })
		run(t, b, x)
		b.add("good", message.BatchCompleted, message.Sent)
		after(30 * time.Minute)
		require.Equal(t, []message.State{message.Sent}, x.states("good"))
		require.LessOrEqual(t, b.asked("bad"), 7)
		b.set(func() { bad.err = nil })
		after(time.Hour)
		require.Equal(t, []message.State{message.Sent}, x.states("bad"))
	})
}

func TestAnIDThatIsTakenAgainIsAnotherBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		b.add("a", message.BatchCompleted, message.Failed, message.Failed)
		run(t, b, x)
		after(time.Minute)
		a := b.add("a", message.BatchCompleted, message.Sent, message.Delivered)
		b.set(func() { a.listed.Run = "another" })
		after(time.Minute)
		require.Equal(t, []message.State{message.Sent, message.Delivered}, x.states("a"))
	})
}

// stopped is an index of a process that may be stopped: what it asks for then, it asks later.
type stopped struct {
	*fakeIndex
	from int // the Advance with which it stops
	mu   sync.Mutex
	on   chan struct{} // closed is not stopped
	n    int
}

func (x *stopped) wait() {
	x.mu.Lock()
	on := x.on
	x.mu.Unlock()
	<-on
}

func (x *stopped) Advance(ctx context.Context, b index.Batch, messages []index.Message, s index.Step) error {
	x.mu.Lock()
	if x.n++; x.n == x.from {
		x.on = make(chan struct{})
	}
	x.mu.Unlock()
	x.wait()
	return x.fakeIndex.Advance(ctx, b, messages, s)
}

func (x *stopped) Claim(ctx context.Context, name, owner string, ttl time.Duration) (int64, error) {
	x.wait()
	return x.fakeIndex.Claim(ctx, name, owner, ttl)
}

func TestWhoIsStoppedAndGoesOnAfterItsLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	for from := 1; from <= 3; from++ { // each of the pages
		synctest.Test(t, func(t *testing.T) {
			b, x := newBatches(), newIndex()
			a := b.add("a", message.BatchCompleted, slices.Repeat([]message.State{message.Sent}, 12_000)...)
			running := make(chan struct{})
			close(running)
			first := &stopped{fakeIndex: x, from: from, on: running}
			run(t, b, x, func(o *indexer.Options) {
				o.Owner = "1"
				o.Open = func(context.Context) (indexer.Index, error) { return first, nil }
			})
			after(10 * time.Second)
			run(t, b, x, func(o *indexer.Options) { o.Owner = "2" })
			after(time.Minute)
			require.True(t, slices.Equal(a.states(), x.states("a")), "the second has the lease")
			b.set(func() {
				delete(b.all, a.listed.Ref)
				b.deleted = []starter.Deleted{{Ref: a.listed.Ref, Created: a.status.CreatedAt}}
			})
			after(time.Minute)
			require.Empty(t, x.states("a"))
			b.set(func() { b.deleted = nil }) // what says so is told once
			close(first.on)
			after(10 * time.Minute)
			require.Zero(t, len(x.states("a")), "what was deleted does not come back") //nolint:testifylint // it would print all
			other := b.add("other", message.BatchCompleted, message.Sent)
			after(time.Minute)
			require.True(t, slices.Equal(other.states(), x.states("other")))
		})
	}
}

func TestAnIDThatIsTakenAgainBeforeTheFirstBatchWasInIsAnotherBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		a := b.add("a", message.BatchRunning, message.Failed, message.Sent)
		run(t, b, x)
		after(10 * time.Second)
		require.Equal(t, []message.State{message.Failed, message.Sent}, x.states("a"))
		again := b.add("a", message.BatchCompleted, message.Sent, message.Delivered, message.Sent)
		b.set(func() { again.listed.Run = a.listed.Run + "-2" })
		after(time.Minute)
		require.Equal(t, again.states(), x.states("a"))
	})
}

func TestABatchThatWasDeletedWhileTheIndexWasAwayGoesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		a := b.add("a", message.BatchCompleted, message.Sent, message.Sent)
		b.add("other", message.BatchCompleted, message.Sent)
		run(t, b, x)
		after(time.Minute)
		require.Len(t, x.states("a"), 2)
		x.set(func() { x.away = index.ErrUnavailable })
		b.set(func() {
			delete(b.all, a.listed.Ref)
			b.deleted = []starter.Deleted{{Ref: a.listed.Ref, Created: a.status.CreatedAt}}
		})
		after(time.Minute)
		require.Len(t, x.states("a"), 2)
		x.set(func() { x.away = nil })
		after(time.Minute)
		require.Empty(t, x.states("a"))
		require.Len(t, x.states("other"), 1)

		again := b.add("a", message.BatchCompleted, message.Failed)
		b.set(func() { again.listed.Run = "another" })
		after(2 * time.Hour)
		require.Equal(t, []message.State{message.Failed}, x.states("a"), "another batch has its id now")
	})
}

func TestAFeedRestsWhileMessagesLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := takenIn(t, true)
		require.Positive(t, busy)
		require.LessOrEqual(t, busy, 21, "a twenty-fifth of 5 s")
		require.Greater(t, takenIn(t, false), 50*busy)
	})
}

// takenIn is how many ended batches a feed takes in within 5 s.
func takenIn(t *testing.T, sending bool) int {
	t.Helper()
	b, x := newBatches(), newIndex()
	b.takes = 10 * time.Millisecond
	for i := range 5_000 {
		b.add(fmt.Sprint(i), message.BatchCompleted, message.Sent)
	}
	stop := run(t, b, x, func(o *indexer.Options) { o.Sending = func() bool { return sending } })
	defer stop()
	after(5 * time.Second)
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.batches)
}

func TestWhatIsTooOldIsNotTakenIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, x := newBatches(), newIndex()
		b.add("a", message.BatchCompleted, message.Sent)
		after(48 * time.Hour)
		run(t, b, x, func(o *indexer.Options) { o.Retention = 24 * time.Hour })
		after(time.Hour)
		require.Zero(t, b.asked("a"))
	})
}

func TestAFeedThatNeverFoundItsIndexEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	indexer.New(indexer.Options{Open: func(context.Context) (indexer.Index, error) {
		cancel()
		var none *index.Index
		return none, index.ErrUnavailable
	}}).Run(ctx)
}
