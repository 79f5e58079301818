package chaos

import (
	"time"

	"volley/internal/message"
)

// Evidence is what a run saw: what was asked of Volley, what Volley said, and what the
// sink got.
type Evidence struct {
	// Accounts are those of the run, by name.
	Accounts map[string]Account
	Batches  []Batch
	Requests []Request
	Holds    []HoldWindow
}

// Account is how an account of the run was configured.
type Account struct {
	// Asked means that the sink says what it has of a message.
	Asked bool
	// Resends means that a doubt which nobody resolves is sent again.
	Resends bool
}

// Batch is one batch of the run.
type Batch struct {
	ID, Account string
	// Messages are those that were started, by index.
	Messages []Message
	// Hurried means that validity may run out before a doubt is resolved.
	Hurried bool
	// Terminated means that Temporal was asked to end the workflow.
	Terminated  bool
	Polls       []message.Status
	Cancels     []Cancel
	Pauses      []Pause
	Reschedules []Reschedule
	// Open says why the batch has no end; empty is that it has.
	Open  string
	Final message.Status
	Rows  []message.Row
}

// Message is one message as it was started.
type Message struct {
	// Reference is the same in every batch that repeats the message.
	Reference    string
	Due, Expires time.Time
}

// Cancel is one cancel of a batch.
type Cancel struct {
	// Named are the ids that were named; nil is the whole batch.
	Named []string
	// Answered is when the answer came.
	Answered time.Time
	Result   message.CancelResult
}

// Pause is the time in which a batch was paused.
type Pause struct {
	// Answered is when the pause was confirmed, Until when its end was asked for.
	Answered, Until time.Time
	InFlight        []string
	// Listed means that InFlight names all that had left.
	Listed bool
}

// Reschedule is one reschedule of a batch.
type Reschedule struct {
	// At is when messages were to be due. Where that is past when a worker takes it in, they
	// are due then.
	At time.Time
	// Answered is when the answer came. Without Confirmed it may be taken in at any time.
	Answered  time.Time
	Confirmed bool
}

// HoldWindow is the time in which an account was held.
type HoldWindow struct {
	Account string
	// From is when workers have to obey, Until when the release was asked for.
	From, Until time.Time
}

// Request is one request that the sink got.
type Request struct {
	// Arrived is when it came, Stamped when the worker made it.
	Arrived, Stamped time.Time
	Account          string
	Batch, ID        string
	Reference        string
	Index            int
	// Answer is how the sink answered.
	Answer string
	// Accepted means that the sink took the message; Receipt is the id that it gave it.
	Accepted bool
	Receipt  string
	// Question means that it asked what the sink has.
	Question bool
}

// Violation is a promise that was not kept.
type Violation struct {
	Rule  string `json:"rule"`
	Batch string `json:"batch"`
	// Index is the message's; -1 is that the batch is meant.
	Index    int    `json:"index"`
	ID       string `json:"id,omitempty"`
	Evidence string `json:"evidence"`
}
