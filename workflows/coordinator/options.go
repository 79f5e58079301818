package coordinator

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// window is how many segments may have first attempts to make at once.
const window = 16

// Times of the store's activities.
const (
	openToClose = 10 * time.Second
	// openPatience is how long a store may say that it does not have the batch.
	openPatience  = 6 * time.Second
	openRetry     = time.Second
	openRetryMax  = 30 * time.Second
	closeToClose  = 30 * time.Second
	closePatience = 10 * time.Minute
)

// Times of the activities that ask segments.
const (
	controlToClose  = 10 * time.Second
	controlPatience = 20 * time.Second
	// askAgain is when those are asked again that did not answer, then after twice as long.
	askAgain    = 2 * time.Second
	askAgainMax = 10 * time.Minute
	// closeWait is how long the end of a segment that has ended may take to be heard of.
	closeWait      = 2 * time.Second
	cancelToClose  = time.Minute
	cancelPatience = 10 * time.Minute
)

// maxNamed is how many messages one activity cancels by name, unless a single request
// names more.
const maxNamed = 10_000

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
