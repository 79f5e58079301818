package contract

import "volley/internal/message"

// SegmentInput is what SendSegment runs: one segment of a large batch.
type SegmentInput struct {
	V   int    `json:"v"`
	Dir string `json:"dir"`
	// Number is the segment's, from 1. It is in the workflow's id, and its ledger is
	// kept under it.
	Number int `json:"number"`
	// ID, Tenant and Dialect are the batch's.
	ID      string `json:"id"`
	Tenant  string `json:"tenant"`
	Dialect string `json:"dialect"`
	// Dispatch is "message" or "group".
	Dispatch  string `json:"dispatch"`
	InFlight  int    `json:"inFlight,omitempty"`
	Summaries bool   `json:"summaries,omitempty"`
	// Guard lets the segment pause its batch when too much is refused alike.
	Guard bool `json:"guard,omitempty"`
	// Expires is the last end of a validity of its messages, in Unix ms.
	Expires int64 `json:"expires,omitempty"`
	// Due and Paused are what the controls had asked for before it began: Due is the due
	// time of all messages.
	Due int64 `json:"due,omitempty"`
	// DueAt is when that was asked for, in Unix ms: what was canceled by name before keeps
	// its own due time.
	DueAt  int64 `json:"dueAt,omitempty"`
	Paused bool  `json:"paused,omitempty"`
	// State carries over what is known when a run continues as new.
	State *State `json:"state,omitempty"`
}

// SegmentResult is how a segment's workflow ended. Its ledger is in the store,
// unless Lost says that the segment is not there, or Unread that it could not be read.
type SegmentResult struct {
	V int `json:"v"`
	// Counts add up to the segment's messages, all of which have ended.
	Counts message.Counts `json:"counts"`
	// Reasons go with the counts.
	Reasons  message.Reasons `json:"reasons,omitempty"`
	Rev      int64           `json:"rev"`
	Started  int64           `json:"started,omitempty"`
	Finished int64           `json:"finished,omitempty"`
	Lost     bool            `json:"lost,omitempty"`
	// Unread means that the store could not be read as long as messages might be sent.
	Unread bool `json:"unread,omitempty"`
}

// Progress is what a segment tells its batch: its first attempts have been made, or its
// ledger cannot be kept.
type Progress struct {
	Number int            `json:"number"`
	Counts message.Counts `json:"counts"`
	// Reasons go with the counts.
	Reasons message.Reasons `json:"reasons,omitempty"`
	Rev     int64           `json:"rev"`
	// Started is when its first message was due, in Unix ms.
	Started int64 `json:"started,omitempty"`
	// FirstMade means that no message of it waits for its first attempt, but for those
	// whose account is held.
	FirstMade bool `json:"firstMade,omitempty"`
	// Held means that messages of it were held back in its run.
	Held bool `json:"held,omitempty"`
	// Fault is why the segment's ledger is not in the store yet; empty is none.
	Fault string `json:"fault,omitempty"`
}
