package starter

import (
	"context"
	"fmt"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Find finds the batch of a tenant that has the message with an id. Visibility may
// lag behind a start by seconds. ErrNotFound is for an id that is none of ours, and
// for a batch that Temporal does not have, or not yet.
func (s *Starter) Find(ctx context.Context, tenant, messageID string) (Ref, error) {
	none := fmt.Errorf("message %s: %w", messageID, ErrNotFound)
	key, _, ok := message.ParseID(messageID)
	if !ok {
		return Ref{}, none
	}
	query, err := batchesQuery(tenant)
	if err != nil {
		return Ref{}, err
	}
	query += " AND " + contract.AttrKey + " = " + server.Quote(key.String())
	for info, err := range s.server.Runs(ctx, query) {
		if err != nil {
			return Ref{}, server.Translate(ctx, "message "+messageID, err)
		}
		ref, ok := server.ParseWorkflowID(info.GetExecution().GetWorkflowId())
		if ok && message.KeyOf(WorkflowID(ref)) == key {
			return ref, nil
		}
	}
	return Ref{}, none
}

// Accepted is a batch as it was accepted, without what it says if that is sensitive. That
// of a large one has no messages, and none of its ways where the store does not have it.
// One of which the store has nothing any more is ErrNotFound.
func (s *Starter) Accepted(ctx context.Context, ref Ref) (*message.Batch, error) {
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return nil, err
	}
	if d.Memo.Dir == "" {
		in, err := s.server.Input(ctx, ref)
		return withoutContent(&in.Batch), err
	}
	if s.o.Store == nil {
		return nil, server.Invalid("batch %s is in the store, and none is configured", ref.ID)
	}
	m, err := s.o.Store.Manifest(ctx, d.Memo.Dir)
	switch {
	case store.Missing(err):
		return nil, fmt.Errorf("batch %s: its messages are no longer in the store: %w", ref.ID, ErrNotFound)
	case err != nil:
		return nil, server.StoreError("batch "+ref.ID, err)
	}
	b := m.Batch // the store keeps the manifest
	return withoutContent(&b), nil
}

// withoutContent takes out of a batch what its sensitive messages say.
func withoutContent(b *message.Batch) *message.Batch {
	sensitive := b.Sensitive
	for _, p := range b.Policies {
		sensitive = sensitive || p.Sensitive || p.TwoFactor
	}
	if !sensitive {
		return b
	}
	b.Template.Body = nil
	for i := range b.Messages {
		b.Messages[i].Body, b.Messages[i].Params = nil, nil
	}
	return b
}
