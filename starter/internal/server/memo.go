package server

import (
	"encoding/json"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"

	"volley/internal/message"
)

// MemoName is the one entry of the memo. A single entry is encrypted once.
const MemoName = "batch"

// Memo is what a list and a repeated start know of a batch without reading it.
type Memo struct {
	V         int       `json:"v"`
	Hash      string    `json:"hash"`
	Dialect   string    `json:"dialect"`
	Account   string    `json:"account,omitempty"`
	Dispatch  string    `json:"dispatch"`
	CreatedAt time.Time `json:"createdAt"`
	SendAfter int64     `json:"sendAfter,omitempty"`
	Total     int       `json:"total"`
	Rejected  int       `json:"rejected"`
	RedriveOf string    `json:"redriveOf,omitempty"`
	// Content is what the batch says to whom, as message.Content writes it.
	Content string `json:"content,omitempty"`
	// Dir is a large batch's folder in the store.
	Dir string `json:"dir,omitempty"`
	// Trace names the span that the batch is a part of, as a traceparent.
	Trace string `json:"trace,omitempty"`
	// Single means that every recipient has one address only; false is not known. It is
	// not told of a large batch.
	Single   bool            `json:"single,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// ReadMemo decodes a workflow's memo. It reports false when the workflow has
// none of ours.
func (s *Server) ReadMemo(info *workflowpb.WorkflowExecutionInfo) (Memo, bool) {
	var out Memo
	p := info.GetMemo().GetFields()[MemoName]
	if p == nil || s.ConverterOf(info.GetExecution().GetWorkflowId()).FromPayload(p, &out) != nil {
		return Memo{}, false
	}
	return out, true
}

// Status is what the memo tells of a batch; the caller adds what moves.
func (m Memo) Status(r Ref) message.Status {
	st := message.Status{
		ID: r.ID, Tenant: r.Tenant, Dialect: m.Dialect, Account: m.Account, Dispatch: m.Dispatch,
		CreatedAt: m.CreatedAt, SendAfter: message.At(m.SendAfter), Total: m.Total, Metadata: m.Metadata,
	}
	if len(st.Metadata) == 0 {
		st.Metadata = json.RawMessage("{}")
	}
	if m.RedriveOf != "" {
		st.RedriveOf = &m.RedriveOf
	}
	return st
}
