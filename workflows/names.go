package workflows

import "volley/internal/message"

// Names under which workflows, activities, queries, signals and updates are
// known to Temporal. Other people's scripts and stored histories use them.
const (
	SendBatchName   = "SendBatch"
	SendSegmentName = "SendSegment"
	KeepReportsName = "KeepReports"
	NotifyName      = "Notify"

	SendName      = "Send"
	ReconcileName = "Reconcile"
	GroupName     = "SendGroup"
	OpenName      = "Open"
	LoadName      = "Load"
	KeepName      = "Keep"
	CloseName     = "Close"
	LocateName    = "Locate"
	RouteName     = "RouteReports"
	DeliverName   = "Deliver"

	QueryStatus   = "status"
	QueryMessages = "messages"
	QueryMessage  = "message"
	QueryOverview = "overview"

	ControlCancel     = "cancel" // signals and updates have the same names
	ControlPause      = "pause"
	ControlResume     = "resume"
	ControlReschedule = "reschedule"

	// SignalReports brings Reports to a small batch, to a segment, or to KeepReports.
	SignalReports = "reports"

	// signalOrder goes from a large batch to its segments, signalReport back.
	signalOrder  = "order"
	signalReport = "report"

	// SignalChanged goes from a batch to its Notify, with no argument, and from whoever
	// knows that there is more to tell.
	SignalChanged = "changed"

	// TaskQueue is the default queue of workflows.
	TaskQueue = "volley"
)

// Names of the search attributes.
const (
	AttrState   = "VolleyState"
	AttrDialect = "VolleyDialect"
	AttrTenant  = "VolleyTenant"
	AttrKey     = "VolleyKey"
	AttrMeta    = "VolleyMeta"
	AttrTotal   = "VolleyTotal"
	AttrFailed  = "VolleyFailed"
	AttrDue     = "VolleyDue"
)

// ErrEndedType is the type of the application error with which the updates
// pause, resume and reschedule answer once a batch has ended, ErrInputType the
// one for arguments that make no sense, ErrNoMessageType the one for a message
// that the batch does not have.
//
// ErrLoadingType is how a segment answers queries before it has been read.
const (
	ErrLoadingType   = "loading"
	ErrEndedType     = "ended"
	ErrInputType     = "input"
	ErrNoMessageType = "no_message"
)

// SendQueue is the task queue of an account's attempts.
func SendQueue(account string) string { return "volley-send-" + account }

// GroupQueue is the task queue of an account's groups.
func GroupQueue(account string) string { return "volley-group-" + account }

// Input is what SendBatch runs. State is nil in a batch's first run and carries
// over what is known when a run continues as new.
type Input struct {
	V int `json:"v"`
	// Size is how long the batch is as JSON, in bytes; 0 is 1 MiB.
	Size  int           `json:"size,omitempty"`
	Batch message.Batch `json:"batch"`
	State *State        `json:"state,omitempty"`
	// Large is there when the messages are in the store.
	Large *LargeInput `json:"large,omitempty"`
}

// LargeInput is where the messages of a large batch are. Its Batch has none.
type LargeInput struct {
	// Dir is the batch's folder in the store.
	Dir      string `json:"dir"`
	Total    int    `json:"total"`
	Rejected int    `json:"rejected,omitempty"`
}
