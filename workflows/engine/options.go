package engine

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/message"
)

// Times of an attempt. The activity itself makes no request unless the
// request's own deadline and a margin fit into what is left of StartToClose.
const (
	startToClose = 30 * time.Second
	queueGrace   = 30 * time.Second
	// questionGrace is how long a question may wait beyond the message's validity
	// for a worker that asks it.
	questionGrace = 10 * time.Minute
)

// Bounds of one run. A run that reaches one ends its attempts and continues as
// new; the server would suggest it at 4,096 events, before a batch of a thousand
// messages is through.
const (
	maxEvents  = 8_000
	maxHistory = 8 << 20
	maxUpdates = 1_500
	// maxBatch is the size of a batch that does not say its own.
	maxBatch = 1 << 20
)

// What one workflow task may hand over: every activity carries the template, and
// the server takes at most 4 MB in one answer of a worker.
const (
	maxHandOver = 2 << 20
	maxTaken    = 4 << 10
	// wrapping is what an activity takes beside the message's own content.
	wrapping = 1 << 10
)

const (
	defaultInFlight = 48
	// verdictWait is how long after asking for cancellation the server has surely
	// reported every attempt that had not started.
	verdictWait = 100 * time.Millisecond
	// tick is what wake-up times are rounded up to, so that messages due close
	// together share one timer.
	tick = int64(500)
)

// Backoff between attempts where the policy gives none.
const (
	retryInitial = time.Second
	retryMax     = 15 * time.Minute
)

// The breaker opens after breakerRow unavailable answers in a row; then one
// probe leaves per interval.
const (
	breakerRow = 20
	probeFirst = int64(1_000)
	probeMax   = int64(30_000)
)

// undecodedAgain is the wait before a message is tried again whose attempt a worker could
// not decode, in ms.
const undecodedAgain = int64(10_000)

// minReconcileTries is how often a provider is asked about a doubtful message at least,
// before it counts as one that cannot tell.
const minReconcileTries = 8

// attemptOptions are the options of one attempt or question. Retries belong to
// the workflow, so there is never more than one try.
func attemptOptions(queue string, deadline time.Duration, summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    startToClose,
		ScheduleToCloseTimeout: deadline,
		WaitForCancellation:    true,
		DisableEagerExecution:  true,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	}
}

// backoff is the wait before the next attempt: the initial wait doubled for each
// attempt made, at most the longest, less up to a fifth. The jitter comes from
// the message's id, so that a replay waits as long.
func backoff(p message.Policy, attempts int, id string) int64 {
	wait, longest := cmp.Or(p.RetryInitial, retryInitial.Milliseconds()), cmp.Or(p.RetryMax, retryMax.Milliseconds())
	for i := 1; i < attempts && wait < longest; i++ {
		wait *= 2
	}
	wait = min(wait, longest)
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d", id, attempts)
	return wait - wait*int64(h.Sum32()%1000)/5000
}
