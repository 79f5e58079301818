package serverclock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// Tolerance is how far a clock may be off without being corrected or warned of.
	Tolerance = 2 * time.Second
	// every is how long after a measurement the next one is made.
	every = 30 * time.Second
	// patience is how long one may take, and lookEvery how long after a look at the poll
	// the next one is made.
	patience  = 5 * time.Second
	lookEvery = 20 * time.Millisecond
	// pollFor is the deadline of the poll. A server refuses those of less than two seconds,
	// and warns of those below ten.
	pollFor = 15 * time.Second
	// precise is how far from the truth a measurement may be that counts where it does not
	// say for sure that the clock is off.
	precise = time.Second
)

// Offset is how far this machine's clock is from the server's.
type Offset struct {
	// Ahead is negative where this clock is behind.
	Ahead time.Duration
	// Within is how much more or less it may be.
	Within time.Duration
}

// Off reports whether the clock is off by more than Tolerance for sure.
func (o Offset) Off() bool { return o.Ahead.Abs()-o.Within > Tolerance }

// String is for people, as in "20.1 s ahead".
func (o Offset) String() string {
	way := "ahead of"
	if o.Ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("%.1f s %s Temporal's", o.Ahead.Abs().Seconds(), way)
}

// Server is what is needed of Temporal; a workflowservice.WorkflowServiceClient is one.
type Server interface {
	PollActivityTaskQueue(context.Context, *workflowservice.PollActivityTaskQueueRequest, ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error)
	DescribeTaskQueue(context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error)
}

// Options configure a Clock.
type Options struct {
	Server    Server
	Namespace string
	// TaskQueue is that of the workflows. Nothing is taken from it.
	TaskQueue string
	// Now is this machine's clock; nil is time.Now.
	Now func() time.Time
	// Metrics gets volley_clock_offset_seconds; nil is nobody.
	Metrics client.MetricsHandler
	// Log is told where the clock is off, and where it is right again; nil is nobody.
	Log *zap.Logger
}

// Clock tells the server's time. It is safe for concurrent use.
type Clock struct {
	o Options
	// correction is what is taken off this machine's time, in ns.
	correction atomic.Int64
	off        bool // by the last measurement; only Follow's
}

// New returns a clock that tells this machine's time until it has measured.
func New(o Options) *Clock {
	o.Namespace = cmp.Or(o.Namespace, client.DefaultNamespace)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, zap.NewNop())
	return &Clock{o: o}
}

// Now is this machine's time, less what the clock is ahead of the server where that is
// more than Tolerance. Two of its times may be further apart than what passed between
// them: durations are for this machine's own clock.
func (c *Clock) Now() time.Time { return c.o.Now().Add(-time.Duration(c.correction.Load())) }

// Follow measures again and again until ctx ends.
func (c *Clock) Follow(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.Correct(ctx)
		}
	}
}

// Correct measures once, and corrects Now by what it finds. It is false where nothing was
// found out, as the server did not answer or took long; then nothing changes.
func (c *Clock) Correct(ctx context.Context) bool {
	offset, err := Measure(ctx, c.o)
	if err != nil || offset.Within > precise && !offset.Off() {
		c.o.Log.Debug("the clock could not be compared with Temporal's", zap.Error(err), zap.Duration("within", offset.Within))
		return false
	}
	if c.o.Metrics != nil {
		c.o.Metrics.Gauge("volley_clock_offset_seconds").Update(offset.Ahead.Seconds())
	}
	was := c.off
	c.off = offset.Off()
	if !c.off {
		c.correction.Store(0)
		if was {
			c.o.Log.Info("the clock of this machine is right again")
		}
		return true
	}
	c.correction.Store(int64(offset.Ahead))
	if !was {
		c.o.Log.Warn("the clock of this machine is "+offset.String()+", whose time counts for due times and validity; set it right",
			zap.Duration("ahead", offset.Ahead.Round(time.Millisecond)))
	}
	return true
}

// ErrNotSeen means that the server does not tell when it was polled.
var ErrNotSeen = errors.New("the server does not tell when it was polled")

// Measure compares the clock of o with the server's. No answer of Temporal's tells the
// time, but a task queue tells when it was polled last: a queue of activities is polled on
// which there is never a task. It must be no sticky queue of workflows: a poll of one that
// names the queue of the batches takes tasks from there, which then wait for a time-out.
func Measure(ctx context.Context, o Options) (Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if o.Now == nil {
		o.Now = time.Now
	}
	identity := fmt.Sprintf("volley-clock-%016x", rand.Uint64())
	queue := &taskqueuepb.TaskQueue{Name: o.TaskQueue + "-clock", Kind: enumspb.TASK_QUEUE_KIND_NORMAL}
	began := o.Now()
	polling, enough := context.WithTimeout(context.WithoutCancel(ctx), pollFor)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer enough()
	failed := make(chan error, 1)
	wg.Go(func() {
		_, err := o.Server.PollActivityTaskQueue(polling, &workflowservice.PollActivityTaskQueueRequest{Namespace: o.Namespace, TaskQueue: queue, Identity: identity})
		failed <- err
	})
	for {
		res, err := o.Server.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: o.Namespace, TaskQueue: queue, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
		})
		if err != nil {
			return Offset{}, fmt.Errorf("measure the clock: %w", err)
		}
		for _, p := range res.GetPollers() {
			if p.GetIdentity() == identity {
				return offsetOf(began, o.Now(), p.GetLastAccessTime().AsTime()), nil
			}
		}
		select {
		case <-ctx.Done():
			return Offset{}, fmt.Errorf("measure the clock: %w", ErrNotSeen)
		case err := <-failed:
			if err == nil {
				err = ErrNotSeen
			}
			return Offset{}, fmt.Errorf("measure the clock: %w", err)
		case <-time.After(lookEvery):
		}
	}
}

// offsetOf is the offset of a clock that showed two times before and after the server's
// showed another.
func offsetOf(before, after, server time.Time) Offset {
	half := after.Sub(before) / 2
	return Offset{Ahead: before.Add(half).Sub(server), Within: half}
}
