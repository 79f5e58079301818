package contract

import (
	"fmt"
	"strconv"
	"strings"

	"volley/internal/message"
)

// ControlSegmentsInput asks for the controls of a large batch to be brought to the
// workflows of its segments, by updates of the same names: a cancel, or else
// a due time and then a pause or a resume.
type ControlSegmentsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch    string `json:"batch"`
	Segments []int  `json:"segments"`
	// Round tells this request from others of the batch, so that an update which is sent
	// again is known as the same.
	Round int `json:"round"`
	// Cancel ends all of the segments, and nothing else is looked at.
	Cancel *message.CancelRequest `json:"cancel,omitempty"`
	// SendAfter is a due time, in RFC 3339; empty is none.
	SendAfter string `json:"sendAfter,omitempty"`
	Pause     bool   `json:"pause,omitempty"`
	Resume    bool   `json:"resume,omitempty"`
}

// ControlSegmentsResult sums up what the segments answered.
type ControlSegmentsResult struct {
	V int `json:"v"`
	// Answered are those that answered, Later those that did not in time. The others have
	// ended.
	Answered []int `json:"answered,omitempty"`
	Later    []int `json:"later,omitempty"`
	// InFlight are messages that a pause found under way, at most a thousand.
	InFlight    []string             `json:"inFlight,omitempty"`
	Rescheduled int                  `json:"rescheduled,omitempty"`
	Canceled    message.CancelCounts `json:"canceled,omitzero"`
	// Counts are how those that answered stand then, and Revs their revs, by number. Where
	// many were asked nobody looks.
	Counts map[int]message.Counts `json:"counts,omitempty"`
	Revs   map[int]int64          `json:"revs,omitempty"`
}

// CancelMessagesInput asks for messages of a large batch to be canceled by name.
type CancelMessagesInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch string `json:"batch"`
	// Call tells this request from others of the batch, and At is when it was made, in
	// Unix ms.
	Call     int                     `json:"call"`
	At       int64                   `json:"at"`
	Requests []message.CancelRequest `json:"requests"`
}

// CancelMessagesResult answers each of the requests, in their order.
type CancelMessagesResult struct {
	V       int                    `json:"v"`
	Results []message.CancelResult `json:"results"`
}

// RoundID is the id of the update that brings a control of a round to a segment. Rounds
// count from 1.
func RoundID(control string, round int) string { return fmt.Sprintf("%s-%d", control, round) }

// RoundOf is the round of an update of a control; 0 is that it belongs to none.
func RoundOf(control, updateID string) int {
	text, _ := strings.CutPrefix(updateID, control+"-")
	round, err := strconv.Atoi(text)
	if err != nil || round < 1 || RoundID(control, round) != updateID {
		return 0
	}
	return round
}
