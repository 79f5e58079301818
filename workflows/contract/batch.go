package contract

import "volley/internal/message"

// Input is what SendBatch runs. State is nil in a batch's first run and carries
// over what is known when a run continues as new.
type Input struct {
	V int `json:"v"`
	// Size is how long the batch is as JSON, in bytes; 0 is 1 MiB.
	Size int `json:"size,omitempty"`
	// Room is how many bytes of JSON a payload of the batch has at most; 0 is 1.9 MB.
	Room  int           `json:"room,omitempty"`
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
	// Expires is the last end of a validity, in Unix ms; 0 is not known.
	Expires int64 `json:"expires,omitempty"`
}

// State is all that a run hands to the next one: SendBatch its records and, apart from
// them, their trails, and SendSegment its ledger.
type State struct {
	Rev     int64  `json:"rev"`
	Started int64  `json:"started,omitempty"`
	Paused  bool   `json:"paused,omitempty"`
	Cancel  bool   `json:"cancel,omitempty"`
	Reason  string `json:"reason,omitempty"`
	SendAt  int64  `json:"sendAt,omitempty"`
	// Reported means that the batch knows that the first attempts of the segment have been
	// made.
	Reported bool               `json:"reported,omitempty"`
	Records  []message.Record   `json:"records,omitempty"`
	Trails   message.Trails     `json:"trails,omitempty"`
	Ledger   message.Ledger     `json:"ledger,omitzero"`
	Breakers map[string]Breaker `json:"breakers,omitempty"`
	// Guard is why the batch paused itself; Unguarded means that it will not again.
	Guard     message.Holding `json:"guard,omitzero"`
	Unguarded bool            `json:"unguarded,omitempty"`
	// Round is the last round of controls that came to the segment.
	Round int `json:"round,omitempty"`
}

// All are the records with their trails.
func (s *State) All() []message.Record {
	for i := range min(len(s.Records), len(s.Trails)) {
		s.Records[i].Trail = s.Trails[i]
	}
	return append(s.Records, s.Ledger.Records...)
}

// Breaker is what is known of an account that keeps being unavailable, or is held.
type Breaker struct {
	// Row is how many unavailable answers came in a row.
	Row int `json:"row,omitempty"`
	// Interval is the time between probes in ms; 0 means that it is closed.
	Interval int64 `json:"interval,omitempty"`
	// Failed is how many probes found it unavailable since it opened.
	Failed int `json:"failed,omitempty"`
	// Probe is when the next probe may leave, in Unix ms.
	Probe int64 `json:"probe,omitempty"`
	// Held is why nothing leaves through the account until it is released.
	Held message.Holding `json:"held,omitzero"`
}
