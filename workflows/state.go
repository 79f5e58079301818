package workflows

import "volley/internal/message"

// State is all that a run hands to the next one.
type State struct {
	Rev      int64              `json:"rev"`
	Started  int64              `json:"started,omitempty"`
	Paused   bool               `json:"paused,omitempty"`
	Cancel   bool               `json:"cancel,omitempty"`
	Reason   string             `json:"reason,omitempty"`
	SendAt   int64              `json:"sendAt,omitempty"`
	Records  []message.Record   `json:"records"`
	Trails   message.Trails     `json:"trails"`
	Breakers map[string]Breaker `json:"breakers,omitempty"`
}

// Breaker is what is known of an account that keeps being unavailable.
type Breaker struct {
	// Row is how many unavailable answers came in a row.
	Row int `json:"row,omitempty"`
	// Interval is the time between probes in ms; 0 means that it is closed.
	Interval int64 `json:"interval,omitempty"`
	// Failed is how many probes found it unavailable since it opened.
	Failed int `json:"failed,omitempty"`
	// Probe is when the next probe may leave, in Unix ms.
	Probe int64 `json:"probe,omitempty"`
}
