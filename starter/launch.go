package starter

import (
	"time"

	"volley/internal/message"
	"volley/workflows/contract"
)

// launch is a batch on its way to its workflow, and afterwards what a start tells of it.
type launch struct {
	Proposal
	ref Ref
	// in is what the workflow is given.
	in contract.Input
	// hash is what a repeat must share.
	hash     string
	problems message.Problems
	// contents sums up what the messages say; nil leaves that out.
	contents *message.ContentSum
	content  message.Content
	// tag is how the batch is found by its content; an empty one leaves it out.
	tag string
	// trace names the span that the batch is a part of, as a traceparent; empty is none.
	trace string
	// dir and segments are those of a large batch.
	dir      string
	segments int
}

// launchOf begins with a batch that has no messages yet.
func launchOf(header *message.Batch, contents *message.ContentSum) *launch {
	return &launch{
		Proposal: Proposal{ID: header.ID, Due: header.CreatedAt, Header: header},
		ref:      Ref{Tenant: header.Tenant, ID: header.ID}, problems: message.Problems{}, contents: contents,
	}
}

// add takes in the next message.
func (l *launch) add(m *message.Message) {
	l.Total++
	if len(m.Problems) > 0 {
		l.Rejected++
		l.problems = append(l.problems, m.Problems...)
		return
	}
	due := time.UnixMilli(l.Header.DueAt(m)).UTC()
	if l.Total-l.Rejected == 1 {
		l.First, l.Due = *m, due
	}
	if due.Before(l.Due) {
		l.Due = due
	}
	if l.contents != nil {
		l.contents.Add(m)
	}
}

// addAll takes in the messages of a batch.
func (l *launch) addAll(b *message.Batch) *launch {
	for i := range b.Messages {
		l.add(&b.Messages[i])
	}
	return l
}

// started is what a start answers with.
func (l *launch) started() Started {
	return Started{
		ID: l.ID, Total: l.Total, Rejected: l.Rejected, Problems: l.problems, SendAfter: message.At(l.Header.SendAfter),
		RedriveOf: l.Header.RedriveOf, Segments: l.segments, Content: l.hash, Estimate: l.Estimate,
	}
}
