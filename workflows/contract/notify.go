package contract

import "volley/internal/message"

// NotifyInput is what Notify runs: whose events are told, where to, and what has
// been told already.
type NotifyInput struct {
	V int `json:"v"`
	// ID, Tenant, Dialect and Total are the batch's; Large is true if its messages are
	// in the store.
	ID        string            `json:"id"`
	Tenant    string            `json:"tenant"`
	Dialect   string            `json:"dialect"`
	Total     int               `json:"total"`
	Large     bool              `json:"large,omitempty"`
	Callbacks message.Callbacks `json:"callbacks"`
	Cursor    Cursor            `json:"cursor"`
	// Told and GivenUp count what went before.
	Told    int `json:"told,omitempty"`
	GivenUp int `json:"givenUp,omitempty"`
	// Failing carries over what is known of an endpoint that does not accept.
	Failing *Failing `json:"failing,omitempty"`
}

// Failing is how an endpoint fails.
type Failing struct {
	// Since is when it did not accept for the first time in a row, in Unix ms.
	Since int64 `json:"since"`
	// Tries is how often it has not.
	Tries int `json:"tries"`
}

// NotifyResult is how Notify ended. With its cursor it can be started again, for
// what a batch that has ended still learns.
type NotifyResult struct {
	V      int    `json:"v"`
	Cursor Cursor `json:"cursor"`
	// Told is how many requests were accepted, GivenUp how many events never were.
	Told    int `json:"told"`
	GivenUp int `json:"givenUp"`
	// Gone means that the endpoint wants no more events (410), and Never that its address can
	// never be allowed, or is none: then the rest was not told.
	Gone  bool `json:"gone,omitempty"`
	Never bool `json:"never,omitempty"`
}

// DeliverInput asks for the events of a batch that have not been told yet. It
// stands in histories.
type DeliverInput struct {
	V int `json:"v"`
	// ID, Tenant and Total are the batch's.
	ID        string            `json:"id"`
	Tenant    string            `json:"tenant"`
	Total     int               `json:"total"`
	Callbacks message.Callbacks `json:"callbacks"`
	Cursor    Cursor            `json:"cursor"`
	// GiveUp counts what has not been told instead of telling it.
	GiveUp bool `json:"giveUp,omitempty"`
}

// Cursor is what of a batch has been told. The zero value is nothing. It stands in
// histories.
type Cursor struct {
	// Rev: all changes of messages up to it have been told.
	Rev int64 `json:"rev,omitempty"`
	// Started is true once the batch's start has been told, State the state that was
	// told last, and Told how many events of the batch itself were told or overtaken.
	Started bool               `json:"started,omitempty"`
	State   message.BatchState `json:"state,omitempty"`
	Told    int                `json:"told,omitempty"`
	// Held is since when the newest hold that was told has held, in Unix ms; 0 is none.
	Held int64 `json:"held,omitempty"`
	// Until is there while a large batch is walked through: the walk tells of changes
	// above Rev up to it. At is the page at which it goes on, and Past the index of the
	// message in it that was told last, plus one.
	Until int64  `json:"until,omitempty"`
	At    string `json:"at,omitempty"`
	Past  int    `json:"past,omitempty"`
	// Pending is an event of the batch itself that was not accepted yet: told again, it
	// says the same.
	Pending *PendingEvent `json:"pending,omitempty"`
}

// PendingEvent is how a batch stood, without its metadata, when an event of a type was
// told for the first time.
type PendingEvent struct {
	Type  string         `json:"type"`
	Batch message.Status `json:"batch"`
}

// DeliverResult is how far an activity got. It stands in histories.
type DeliverResult struct {
	V      int    `json:"v"`
	Cursor Cursor `json:"cursor"`
	// Told is how many requests the endpoint accepted, GivenUp how many events were
	// given up.
	Told    int `json:"told,omitempty"`
	GivenUp int `json:"givenUp,omitempty"`
	// Failure is why the last request was not accepted.
	Failure *DeliverFailure `json:"failure,omitempty"`
	// More means that there is more to tell at once.
	More bool `json:"more,omitempty"`
	// After is how long to wait at least before looking again, in ms. Again means that
	// there is more to tell then, though nothing may change until then.
	After int64 `json:"after,omitempty"`
	Again bool  `json:"again,omitempty"`
	// Ended means that the batch has ended and all of it was told or given up.
	Ended bool `json:"ended,omitempty"`
}

// DeliverFailure is a request that was not accepted. It holds no address.
type DeliverFailure struct {
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	// RetryAfter is what the endpoint asked to wait, in ms.
	RetryAfter int64 `json:"retryAfter,omitempty"`
	// Gone means that the endpoint wants no more events, and Never that no try can succeed.
	Gone  bool `json:"gone,omitempty"`
	Never bool `json:"never,omitempty"`
}
