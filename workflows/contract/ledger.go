package contract

import (
	"fmt"

	"volley/internal/message"
)

// LedgerQuery asks for what a run knows of its messages, from a position on.
type LedgerQuery struct {
	From int `json:"from,omitempty"`
}

// LedgerPage is a part of what a run knows of its messages, by position. Next is the
// position at which the next page begins; 0 is none.
type LedgerPage struct {
	V      int            `json:"v"`
	Ledger message.Ledger `json:"ledger"`
	Next   int            `json:"next,omitempty"`
	// InFlight are the activities that the run believes to be under way. Those that it asks
	// for in the answer to its last events have not come to the server where the run was
	// ended before.
	InFlight []InFlight `json:"inFlight,omitempty"`
	Rev      int64      `json:"rev"`
	// Started is when the first message was due, SendAt the due time that a reschedule gave
	// all of them, in Unix ms; 0 is none.
	Started int64 `json:"started,omitempty"`
	SendAt  int64 `json:"sendAt,omitempty"`
}

// InFlight is an activity that a run believes to be under way: an attempt at a message, a
// question about one, or a group of attempts. Spans are the positions of its messages, from
// the first to before the last, in the order in which they leave.
type InFlight struct {
	ID       string   `json:"id"`
	Spans    [][2]int `json:"spans"`
	Question bool     `json:"question,omitempty"`
	Group    bool     `json:"group,omitempty"`
}

// Positions lists the positions of its messages.
func (f *InFlight) Positions() []int { return positions(f.Spans) }

func positions(spans [][2]int) []int {
	var all []int
	for _, s := range spans {
		for p := s[0]; p < s[1]; p++ {
			all = append(all, p)
		}
	}
	return all
}

// Spans are those of positions, in their order.
func Spans(positions []int) (spans [][2]int) {
	for _, p := range positions {
		if k := len(spans) - 1; k >= 0 && spans[k][1] == p {
			spans[k][1]++
		} else {
			spans = append(spans, [2]int{p, p + 1})
		}
	}
	return spans
}

// AttemptID is the id of the activity that makes an attempt at the message with an index in
// the batch. The ids of activities name messages, so that what Temporal says of an activity
// can be told of them.
func AttemptID(index, attempt int) string { return fmt.Sprintf("%d.%d", index, attempt) }

// QuestionID is that of the nth question about an attempt.
func QuestionID(index, attempt, n int) string { return fmt.Sprintf("%d.%d?%d", index, attempt, n) }

// GroupID is that of a group, by its first message and the attempt at it.
func GroupID(index, attempt int) string { return fmt.Sprintf("g%d.%d", index, attempt) }

// What is said of the messages of a segment whose workflow others ended, in a batch that
// lives on: of those that never left.
const (
	CodeSegmentLost   = "segment_lost"
	DetailSegmentLost = "its workflow was ended before it had left"
)

// CloseOutInput asks for the end of a segment's workflow that did not come to its own end:
// for the ledger that it did not write.
type CloseOutInput struct {
	V      int    `json:"v"`
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	Dir    string `json:"dir"`
	Number int    `json:"number"`
	// Rest is what becomes of messages that never left; its Finished is not used.
	Rest message.UnrunOutcome `json:"rest"`
}
