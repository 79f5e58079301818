package contract

import "volley/internal/message"

// Stored is where a message of a large batch lies in the store. It stands in a
// SendInput instead of the template, the message and the batch's metadata.
type Stored struct {
	Dir     string `json:"dir"`
	Segment int    `json:"segment"`
	Pos     int    `json:"pos"`
}

// OpenInput asks for the manifest of a large batch. The activity proves that the
// worker sees the store that the starter wrote to.
type OpenInput struct {
	V   int    `json:"v"`
	Dir string `json:"dir"`
}

// OpenResult is what a manifest says of the segments. Found false means that the
// store was read and does not have it, or, with a Fault, that what it has makes no
// sense. Away means that this worker has no store, or one that no batch was ever
// written to: its store is another one, or it is not mounted.
type OpenResult struct {
	V        int               `json:"v"`
	Found    bool              `json:"found"`
	Away     bool              `json:"away,omitempty"`
	Fault    string            `json:"fault,omitempty"`
	Segments []message.Segment `json:"segments,omitempty"`
}

// LoadInput asks for the messages of a segment.
type LoadInput struct {
	V       int    `json:"v"`
	Dir     string `json:"dir"`
	Segment int    `json:"segment"`
}

// LoadResult is what a workflow needs of messages in the store: hops and policies
// of the batch, without template, metadata and messages, and a line for each
// message. Canceled are those of the messages that were canceled by name until then.
// Found false means that the store lacks something.
type LoadResult struct {
	V        int                   `json:"v"`
	Found    bool                  `json:"found"`
	Batch    message.Batch         `json:"batch"`
	Lines    message.MessageMetas  `json:"lines"`
	Canceled message.Cancellations `json:"canceled,omitempty"`
}

// KeepInput puts the ledger of a segment into the store.
type KeepInput struct {
	V      int            `json:"v"`
	Dir    string         `json:"dir"`
	Number int            `json:"number"`
	Ledger message.Ledger `json:"ledger"`
}

// CloseInput puts the end of a large batch into the store, where it outlives the
// namespace's retention.
type CloseInput struct {
	V      int            `json:"v"`
	Result message.Result `json:"result"`
}
