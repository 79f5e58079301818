package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Bounds of what a large batch has under way.
const (
	// window is how many segments may have first attempts to make at once.
	window = 16
	// maxRunning is how many workflows may run at once in all. Those of a batch that
	// awaits reports do little for a long time, and may all run.
	maxRunning  = 500
	maxAwaiting = 1_500
	// maxLed is how many updates a large batch takes: it never continues as new, and
	// the server lets a run have 2,000.
	maxLed = 1_900
)

// Bounds of a retry and of the wait for one, in messages and in ms.
const (
	retryMessages = 1_000
	gatherFirst   = int64(30_000)
	gatherMax     = int64(15 * 60_000)
)

// Times of the store's activities.
const (
	openToClose = 10 * time.Second
	// openPatience is how long a store may say that it does not have the batch.
	openPatience = 6 * time.Second
	openRetry    = time.Second
	openRetryMax = 30 * time.Second
	// locatePatience is how long a call waits for the store, signalPatience how long
	// a signal does, which nobody repeats.
	locatePatience = time.Minute
	signalPatience = 10 * time.Minute
	closeToClose   = 30 * time.Second
	closePatience  = 10 * time.Minute
)

// reportWait is how long the reports of running segments are awaited.
const reportWait = 8 * time.Second

const (
	// maxListed is the size of a batch up to which a cancel of all of it lists ids.
	maxListed = 1_000
	// maxLocated is how many messages one activity looks for.
	maxLocated = 5_000
	// maxStruck is how many messages may be canceled by name in segments that have not
	// begun: the batch names them in what it says of itself.
	maxStruck = 15_000
	// maxReasons bounds the reasons in what a batch says of itself, in bytes.
	maxReasons = 64 << 10
)

// changeLocate is the id of a change of decisions; see locatesAll. It is asked for
// only where the decisions differ.
const changeLocate = "locate-all"

// codeLost is the code of messages whose segment's workflow was ended by others.
const codeLost = "segment_lost"

// openOptions are the options of reading the manifest. Whether and when it is
// tried again belongs to the workflow.
func openOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: openToClose,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             "read the manifest",
	}
}

// patientOptions are those of a look into the store that is repeated as long as
// patience lasts.
func patientOptions(toClose, patience time.Duration, summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout:    toClose,
		ScheduleToCloseTimeout: patience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: openRetryMax},
		Summary:                summary,
	}
}
