package starter

import (
	"context"
	"errors"
	"fmt"

	"volley/internal/message"
	"volley/internal/store"
	"volley/workflows"
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
	tenant = tenantOf(Ref{Tenant: tenant})
	if !ValidID(tenant) {
		return Ref{}, invalid("tenant %q: %s", tenant, idRule)
	}
	query := "WorkflowType = " + quote(workflows.SendBatchName) + " AND ExecutionStatus != 'ContinuedAsNew' AND " +
		workflows.AttrKey + " = " + quote(key.String()) + " AND " + workflows.AttrTenant + " = " + quote(tenant)
	for info, err := range s.runs(ctx, query) {
		if err != nil {
			return Ref{}, s.translate(ctx, "message "+messageID, err)
		}
		ref, ok := parseWorkflowID(info.GetExecution().GetWorkflowId())
		if ok && message.KeyOf(WorkflowID(ref)) == key {
			return ref, nil
		}
	}
	return Ref{}, none
}

// Accepted is a batch as it was accepted. That of a large one has no messages, and
// none of its ways where the store does not have it. One of which the store has nothing
// any more is ErrNotFound.
func (s *Starter) Accepted(ctx context.Context, ref Ref) (*message.Batch, error) {
	d, err := s.recall(ctx, ref)
	if err != nil {
		return nil, err
	}
	if d.memo.Dir == "" {
		in, err := s.input(ctx, ref)
		if err != nil {
			return nil, err
		}
		return &in.Batch, nil
	}
	if s.o.Store == nil {
		return nil, invalid("batch %s is in the store, and none is configured", ref.ID)
	}
	m, err := s.o.Store.Manifest(ctx, d.memo.Dir)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("batch %s: its messages are no longer in the store: %w", ref.ID, ErrNotFound)
	case err != nil:
		return nil, s.storeError("batch "+ref.ID, err)
	}
	b := m.Batch
	return &b, nil
}
