package message

// Large is what a large batch's result says beside its status: where its messages
// and their ledgers lie in the store.
type Large struct {
	// Dir is the batch's folder in the store.
	Dir string `json:"dir"`
	// Segments has one letter for each segment, see the Segment constants.
	Segments string `json:"segments"`
	// Retries are the workflows that took over what segments left.
	Retries []Retry `json:"retries,omitempty"`
	// Rest is what became of every message of the segments that have no ledger.
	Rest *Rest `json:"rest,omitempty"`
	// RestOf holds it for single segments, by number, where that differs.
	RestOf map[int]Rest `json:"restOf,omitempty"`
	// Due is the due time of all messages of segments that have not begun, after a
	// reschedule; 0 is each its own.
	Due int64 `json:"due,omitempty"`
	// Canceled are the indexes of single messages that were canceled in segments
	// that had not begun, and Reasons why, by index in Canceled.
	Canceled []int    `json:"canceled,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
}

// Letters of Large.Segments.
const (
	// SegmentWaiting has not begun.
	SegmentWaiting = '-'
	// SegmentRunning runs and has first attempts to make.
	SegmentRunning = 'r'
	// SegmentRetrying runs and waits for retries only.
	SegmentRetrying = 'w'
	// SegmentEnded has ended; its ledger is in the store.
	SegmentEnded = 'e'
	// SegmentLeft has ended like that, and left messages to a retry.
	SegmentLeft = 'l'
	// SegmentNever will never run: Rest or RestOf says what became of it.
	SegmentNever = 'x'
)

// Retry is a workflow that took over messages of several segments. Its number
// follows those of the segments, and so does its ledger's.
type Retry struct {
	Number   int   `json:"number"`
	Segments []int `json:"segments"`
	Ended    bool  `json:"ended,omitempty"`
}

// Rest is what became of messages that no workflow took up.
type Rest struct {
	State    State  `json:"state"`
	Code     string `json:"code"`
	Detail   string `json:"detail,omitempty"`
	Finished int64  `json:"finished"`
}

// Overview is what the workflow of a large batch says of itself: the answer to
// the query "overview".
type Overview struct {
	V int `json:"v"`
	// Status counts running segments by their last report.
	Status Status `json:"status"`
	Large  Large  `json:"large"`
	// Opened is true once a worker has read the manifest; Fault says why none could.
	// It may yet be read, unless all of the batch has ended.
	Opened bool   `json:"opened"`
	Fault  string `json:"fault,omitempty"`
	// Missing means that the batch was given up because the workers' store does not
	// have it: it is not the starter's.
	Missing bool `json:"missing,omitempty"`
	// Counts are those that Status has of each running workflow, by its number.
	Counts map[int]Counts `json:"counts,omitempty"`
}
