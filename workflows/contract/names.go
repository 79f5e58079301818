package contract

import (
	"strconv"
	"strings"
	"time"
)

// Names under which workflows, activities, queries, signals and updates are
// known to Temporal. Other people's scripts and stored histories use them.
const (
	SendBatchName   = "SendBatch"
	SendSegmentName = "SendSegment"
	KeepReportsName = "KeepReports"
	NotifyName      = "Notify"
	// HoldRedrivenName is the workflow that holds which messages a redrive has taken.
	HoldRedrivenName = "HoldRedriven"
	HoldsName        = "Holds"
	// DeletedName is the type of the record of a batch that was deleted, see DeletedID. No
	// worker runs it.
	DeletedName = "Deleted"

	SendName      = "Send"
	ReconcileName = "Reconcile"
	GroupName     = "SendGroup"
	OpenName      = "Open"
	LoadName      = "Load"
	KeepName      = "Keep"
	CloseName     = "Close"

	CloseOutName        = "CloseOut"
	ControlSegmentsName = "ControlSegments"
	CancelMessagesName  = "CancelMessages"
	BatchRunsName       = "BatchRuns"

	RouteName   = "RouteReports"
	DeliverName = "Deliver"

	AwaitReleaseName = "AwaitRelease"

	QueryStatus   = "status"
	QueryMessages = "messages"
	QueryMessage  = "message"
	QueryOverview = "overview"
	QueryLedger   = "ledger"

	ControlCancel     = "cancel" // signals and updates have the same names
	ControlPause      = "pause"
	ControlResume     = "resume"
	ControlReschedule = "reschedule"

	// SignalReports brings Reports to a small batch, to a segment, or to KeepReports.
	SignalReports = "reports"

	// SignalProgress goes from a segment to its large batch.
	SignalProgress = "progress"

	// SignalChanged goes from a batch to its Notify, with no argument, and from whoever
	// knows that there is more to tell.
	SignalChanged = "changed"

	// SignalHolds brings a HoldChange to the workflow of the holds, QueryHolds asks it for
	// all.
	SignalHolds = "change"
	QueryHolds  = "holds"

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
	AttrContent = "VolleyContent"
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

// ErrUndecodedType is the type of the cause of an activity's error where the worker could
// not decode the input (temporalclient.UndecodedError): the activity has not begun.
const ErrUndecodedType = "UndecodedError"

// ErrLargeType is the type of the application error with which a large batch
// answers what its workflow cannot.
const ErrLargeType = "large"

// NotifyID is the id of the workflow that tells the events of a batch's workflow.
func NotifyID(workflowID string) string { return workflowID + "~notify" }

// NotifyQueue is the task queue on which callbacks are delivered, given that of the
// workflows. It is one of its own, so that endpoints that hang keep nobody from the
// store.
func NotifyQueue(queue string) string { return queue + "-notify" }

// ReportsID is the id of the workflow that keeps what came too late for a batch,
// whose own workflow's id is given.
func ReportsID(batch string) string { return batch + "~reports" }

// deletedMark begins every DeletedID.
const deletedMark = "deleted-"

// DeletedID is the id of the record that a batch was deleted, which was made at a time. It
// has all that whoever fills the index has to know, so that the record holds no payload.
func DeletedID(batch string, created time.Time) string {
	return deletedMark + strconv.FormatInt(created.UnixMilli(), 10) + "-" + batch
}

// ParseDeletedID reads what DeletedID wrote, to the millisecond.
func ParseDeletedID(id string) (batch string, created time.Time, ok bool) {
	id, marked := strings.CutPrefix(id, deletedMark)
	ms, batch, found := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	return batch, time.UnixMilli(n).UTC(), marked && found && err == nil
}

// HoldsID is the id of the workflow that keeps the holds of those that share a queue of
// workflows. No batch has an id like it.
func HoldsID(queue string) string { return "holds-" + queue }

// KeysetID is the id of the workflow whose memo tells those that share a queue of workflows
// which key is in use. No batch has an id like it.
func KeysetID(queue string) string { return "keyset-" + queue }

// HoldsQueue is the task queue on which batches wait for the end of a hold, given that of
// the workflows. Waiting takes up no place among attempts or in the store's queue.
func HoldsQueue(queue string) string { return queue + "-holds" }
