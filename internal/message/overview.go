package message

import "encoding/json"

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
	// DueRev is the batch's rev of that.
	DueRev int64 `json:"dueRev,omitempty"`
	// Canceled are the indexes of single messages that were canceled in segments
	// that had not begun, Reasons why and Revs when, by index in Canceled.
	Canceled []int    `json:"canceled,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
	Revs     Revs     `json:"revs,omitempty"`
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
	// Revs are the workflows' own revs at which they reported these; one that has not
	// reported has none.
	Revs map[int]int64 `json:"revs,omitempty"`
}

// Revs are a batch's revs at several changes. Equal ones in a row, as those of one
// cancel are, take a few bytes as JSON.
type Revs []int64

// maxRevs is how many revs can be read.
const maxRevs = 1 << 20

// MarshalJSON packs the revs.
func (r Revs) MarshalJSON() ([]byte, error) {
	return columnOf(len(r), func(i int) int64 { return r[i] }).MarshalJSON()
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (r *Revs) UnmarshalJSON(b []byte) error {
	var c column
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	n := int64(0)
	for _, s := range c.steps {
		if n += s.times; n > maxRevs || s.times > maxRevs {
			return errDamaged
		}
	}
	*r = make(Revs, n)
	var bad damage
	for i := range *r {
		(*r)[i] = c.next(&bad, i)
	}
	return bad.err()
}
