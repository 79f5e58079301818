package contract

import "volley/internal/message"

// Reports are what one signal brings: at most message.MaxReports delivery reports
// of messages of one batch, or of one segment.
type Reports struct {
	V       int              `json:"v"`
	Reports []message.Report `json:"reports"`
}

// Outcomes of a report, as they are counted.
const (
	// ReportApplied means that the message ends, or has ended, as the report says, or
	// takes the next hop because of it.
	ReportApplied = "applied"
	// ReportKept means that the report came before it was known what had become of
	// the attempt, or after the batch had ended.
	ReportKept = "kept"
	// ReportRepeated means that the report changed nothing.
	ReportRepeated = "repeated"
	// ReportUnknown means that it is of no message of ours, or of none that went
	// through its account.
	ReportUnknown = "unknown"
	// ReportDropped means that it could not be brought to its message: what says how
	// that stands is damaged, or nobody could take the report for a day.
	ReportDropped = "dropped"
)

// A run of KeepReports is brought no more reports while its history has so many events
// or bytes. The server ends it at 51,200 events, 50 MB or 10,000 signals, and what it
// was brought stands in its history twice.
const (
	MaxReportEvents = 9_000
	MaxReportBytes  = 12 << 20
)

// KeepReportsInput is what KeepReports runs. It is started by the first of its
// signals of the name SignalReports, which bring Reports.
type KeepReportsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch string `json:"batch"`
	// Waiting are reports that the run before could not get rid of.
	Waiting []DeferredReport `json:"waiting,omitempty"`
}

// DeferredReport is one that nobody could take yet. Times are Unix ms.
type DeferredReport struct {
	message.Report
	Since int64 `json:"since"`
	Next  int64 `json:"next"`
}

// ReportsInput asks for reports to be brought to whoever has their messages now: a
// workflow that runs, or else the store.
type ReportsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch   string           `json:"batch"`
	Reports []message.Report `json:"reports"`
}

// ReportsResult says what became of the reports.
type ReportsResult struct {
	V int `json:"v"`
	// Later are the places in the list of reports that nobody can take yet, since what
	// will have their messages has not begun.
	Later []int `json:"later,omitempty"`
	// Passed went to a workflow, Kept into the store. Repeated changed nothing, Unknown
	// are of no message of the batch, and Dropped of one whose record is damaged.
	Passed   int `json:"passed,omitempty"`
	Kept     int `json:"kept,omitempty"`
	Repeated int `json:"repeated,omitempty"`
	Unknown  int `json:"unknown,omitempty"`
	Dropped  int `json:"dropped,omitempty"`
}
