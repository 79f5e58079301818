package message

// Large is what a large batch's result says beside its status: where its messages
// and their ledgers lie in the store.
type Large struct {
	// Dir is the batch's folder in the store.
	Dir string `json:"dir"`
	// Segments has one letter for each segment, see the Segment constants.
	Segments string `json:"segments"`
	// Rest is what became of every message of the segments that have no ledger.
	Rest *UnrunOutcome `json:"rest,omitempty"`
	// RestOf holds it for single segments, by number, where that differs.
	RestOf map[int]UnrunOutcome `json:"restOf,omitempty"`
	// Due is the due time of all messages of segments that have not begun, after a
	// reschedule; 0 is each its own.
	Due int64 `json:"due,omitempty"`
	// DueRev is the batch's rev of that.
	DueRev int64 `json:"dueRev,omitempty"`
	// Ended counts the messages of the segments that have ended, all of them together.
	Ended Counts `json:"ended,omitzero"`
	// Reasons are those of the messages that Ended counts, as far as they are known.
	Reasons Reasons `json:"reasons,omitempty"`
}

// SegmentState is the state of a segment, as Large.Segments has it.
type SegmentState byte

// States of a segment.
const (
	// SegmentWaiting has not begun.
	SegmentWaiting = '-'
	// SegmentRunning runs and has first attempts to make.
	SegmentRunning = 'r'
	// SegmentRetrying runs, and its first attempts have been made.
	SegmentRetrying = 'w'
	// SegmentEnded has ended; its ledger is in the store.
	SegmentEnded = 'e'
	// SegmentNever will never run: Rest or RestOf says what became of it.
	SegmentNever = 'x'
)

// UnrunOutcome is what became of messages that no workflow took up.
type UnrunOutcome struct {
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
	// Counts are those that Status has of each running workflow, by its number; Waiting
	// those of all segments that have none and have not ended. With Large.Ended they
	// add up to Status.
	Counts  map[int]Counts `json:"counts,omitempty"`
	Waiting Counts         `json:"waiting,omitzero"`
	// Reasons are those that each running workflow reported with its counts.
	Reasons map[int]Reasons `json:"reasons,omitempty"`
	// Revs are the workflows' own revs at which they reported these; one that has not
	// reported has none.
	Revs map[int]int64 `json:"revs,omitempty"`
}
