package starter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"

	"volley/internal/message"
)

const (
	// memoName is the one entry of the memo. A single entry is encrypted once.
	memoName = "batch"
	// maxMemo bounds the entry as JSON, so that with what Temporal and encryption
	// add it stays below 2 KB, where the server begins to warn.
	maxMemo = 1700
)

// memo is what a list and a repeated start know of a batch without reading it.
type memo struct {
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
	// Dir is a large batch's folder in the store.
	Dir      string          `json:"dir,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// memoOf describes a batch. Of its metadata it keeps the leading members that
// fit, in the caller's order; the batch's own status has them all.
func memoOf(b *message.Batch, x extent, contentHash string) memo {
	m := memo{
		V: message.Version, Hash: contentHash, Dialect: b.Dialect, Account: message.Clip(accountOf(b), 100),
		Dispatch: dispatchOf(b), CreatedAt: b.CreatedAt, SendAfter: b.SendAfter,
		Total: x.total, Rejected: x.rejected, RedriveOf: b.RedriveOf, Dir: x.dir,
	}
	if raw, err := json.Marshal(m); err == nil {
		m.Metadata = clipObject(b.Metadata, maxMemo-len(raw)-len(`,"metadata":`))
	}
	return m
}

// The two dispatches; an empty one is the first.
const (
	dispatchMessage = "message"
	dispatchGroup   = "group"
)

func dispatchOf(b *message.Batch) string { return cmp.Or(b.Dispatch, dispatchMessage) }

// accountOf is the account of a batch that has only one, as its status shows it.
func accountOf(b *message.Batch) string {
	if b.Account == "" && len(b.Policies) == 1 {
		for name := range b.Policies {
			return name
		}
	}
	return b.Account
}

// clipObject returns the leading members of a JSON object that fit into room
// bytes; nil when there are none or raw is no object.
func clipObject(raw json.RawMessage, room int) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	out := []byte{'{'}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		// Marshalling escapes as the data converter will, so that sizes agree.
		member, err := json.Marshal(map[string]json.RawMessage{fmt.Sprint(key): value})
		if err != nil {
			return nil
		}
		member = member[1 : len(member)-1]
		if len(out)+1+len(member)+1 > room {
			break
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, member...)
	}
	if len(out) == 1 {
		return nil
	}
	return append(out, '}')
}

// readMemo decodes a workflow's memo. It reports false when the workflow has
// none of ours.
func (s *Starter) readMemo(m *commonpb.Memo) (memo, bool) {
	var out memo
	p := m.GetFields()[memoName]
	if p == nil || s.o.DataConverter.FromPayload(p, &out) != nil {
		return memo{}, false
	}
	return out, true
}

// status is what the memo tells of a batch; the caller adds what moves.
func (m memo) status(r Ref) message.Status {
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
