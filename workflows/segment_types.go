package workflows

import (
	"volley/activities"
	"volley/internal/message"
)

// SegmentInput is what SendSegment runs: one segment of a large batch, or what
// several segments left.
type SegmentInput struct {
	V   int    `json:"v"`
	Dir string `json:"dir"`
	// Number is the workflow's own: that of its segment, or for a retry one behind
	// all segments. It is in the workflow's id, and its ledger is kept under it.
	Number  int                 `json:"number"`
	Sources []activities.Source `json:"sources"`
	// ID, Tenant and Dialect are the batch's.
	ID      string `json:"id"`
	Tenant  string `json:"tenant"`
	Dialect string `json:"dialect"`
	// Dispatch is "message" or "group".
	Dispatch  string `json:"dispatch"`
	InFlight  int    `json:"inFlight,omitempty"`
	Summaries bool   `json:"summaries,omitempty"`
	// Expires is the last end of a validity of its messages, in Unix ms.
	Expires int64 `json:"expires,omitempty"`
	// Due, Canceled, Paused and Cancel are what the controls had asked for before it began:
	// a due time of all messages, indexes in the batch, with Reasons and the batch's
	// Revs by index in Canceled.
	Due      int64        `json:"due,omitempty"`
	Canceled []int        `json:"canceled,omitempty"`
	Reasons  []string     `json:"reasons,omitempty"`
	Revs     message.Revs `json:"revs,omitempty"`
	Paused   bool         `json:"paused,omitempty"`
	// Cancel ends all of it as canceled.
	Cancel *message.CancelRequest `json:"cancel,omitempty"`
	// State carries over what is known when a run continues as new.
	State *SegmentState `json:"state,omitempty"`
}

// SegmentState is all that a run of SendSegment hands to the next one.
type SegmentState struct {
	Rev      int64              `json:"rev"`
	Started  int64              `json:"started,omitempty"`
	Paused   bool               `json:"paused,omitempty"`
	Cancel   bool               `json:"cancel,omitempty"`
	Reason   string             `json:"reason,omitempty"`
	Reported bool               `json:"reported,omitempty"`
	Ledger   message.Ledger     `json:"ledger"`
	Breakers map[string]Breaker `json:"breakers,omitempty"`
}

// SegmentResult is how a segment's workflow ended. Its ledger is in the store,
// unless Lost says that the segment could not be read there.
type SegmentResult struct {
	V int `json:"v"`
	// Counts add up to the segment's messages; those it left are retrying.
	Counts   message.Counts `json:"counts"`
	Rev      int64          `json:"rev"`
	Started  int64          `json:"started,omitempty"`
	Finished int64          `json:"finished,omitempty"`
	// Left is how many messages wait for another attempt, Next when the first of
	// them may move, Expires when the last one's validity ends.
	Left    int   `json:"left,omitempty"`
	Next    int64 `json:"next,omitempty"`
	Expires int64 `json:"expires,omitempty"`
	Lost    bool  `json:"lost,omitempty"`
}

// Order is what a large batch asks of a running segment. Exactly one of the
// controls is given. Token is not 0 where an answer is wanted.
type Order struct {
	Token      int64                      `json:"token,omitempty"`
	Cancel     *message.CancelRequest     `json:"cancel,omitempty"`
	Pause      bool                       `json:"pause,omitempty"`
	Resume     bool                       `json:"resume,omitempty"`
	Reschedule *message.RescheduleRequest `json:"reschedule,omitempty"`
}

// Report is what a segment tells its batch: the answer to an order, or, with
// Token 0, that its first attempts have been made.
type Report struct {
	Number int            `json:"number"`
	Token  int64          `json:"token,omitempty"`
	Counts message.Counts `json:"counts"`
	Rev    int64          `json:"rev"`
	// Started is when its first message was due, in Unix ms.
	Started int64 `json:"started,omitempty"`
	// FirstMade means that no message of it waits for its first attempt.
	FirstMade bool `json:"firstMade,omitempty"`
	// Cancel answers a cancel; its lists are there only if messages were named.
	Cancel *message.CancelResult `json:"cancel,omitempty"`
	// InFlight answers a pause, at most a thousand ids.
	InFlight    []string `json:"inFlight,omitempty"`
	Rescheduled int      `json:"rescheduled,omitempty"`
	Unchanged   int      `json:"unchanged,omitempty"`
}
