package starter

import (
	"encoding/json"
	"slices"

	"volley/internal/message"
	"volley/starter/internal/server"
)

// maxMemo bounds the memo's entry as JSON, so that with what Temporal and encryption
// add it stays below 2 KB, where the server begins to warn.
const maxMemo = 1700

// memoOf describes a batch. Of its metadata it keeps the leading members that
// fit, in the caller's order; the batch's own status has them all.
func memoOf(l *launch) server.Memo {
	b := &l.in.Batch
	m := server.Memo{
		V: message.Version, Hash: l.hash, Dialect: b.Dialect, Account: message.Clip(accountOf(b), 100),
		Dispatch: b.Dispatch, CreatedAt: b.CreatedAt, SendAfter: b.SendAfter,
		Total: l.Total, Rejected: l.Rejected, RedriveOf: b.RedriveOf, Content: l.content.String(), Dir: l.dir, Trace: l.trace,
		Single: l.dir == "" && !slices.ContainsFunc(b.Messages, func(m message.Message) bool { return len(m.Addresses) > 1 }),
	}
	if raw, err := json.Marshal(m); err == nil {
		m.Metadata = message.ClipObject(b.Metadata, maxMemo-len(raw)-len(`,"metadata":`))
	}
	return m
}

// accountOf is the account of a batch that has only one, as its status shows it.
func accountOf(b *message.Batch) string {
	if b.Account == "" && len(b.Policies) == 1 {
		for name := range b.Policies {
			return name
		}
	}
	return b.Account
}
