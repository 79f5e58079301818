package server

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"

	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/internal/store"
)

// ReportsDir is where the late reports of a batch are that has ended. Batches of the same
// id in two namespaces that share a store have two folders.
func (s *Server) ReportsDir(ref Ref, res message.Result) string {
	if res.Large != nil {
		return res.Large.Dir
	}
	wid := WorkflowID(ref)
	if s.Namespace != "" && s.Namespace != client.DefaultNamespace {
		wid = s.Namespace + "/" + wid
	}
	return store.ReportsDir(ref.Tenant, ref.ID, wid, res.Status.CreatedAt)
}

// Result waits until a batch has closed and returns how it ended. One that
// Temporal itself ended has no result: ok is false then. A large one that Temporal no
// longer has is read from the store.
func (s *Server) Result(ctx context.Context, ref Ref) (res message.Result, ok bool, err error) {
	wid, err := WorkflowOf(ref)
	if err != nil {
		return message.Result{}, true, err
	}
	err = s.Client.GetWorkflow(ctx, wid, "").Get(ctx, &res)
	var ended *temporal.WorkflowExecutionError
	if errors.As(err, &ended) {
		return message.Result{}, false, nil
	}
	err = Translate(ctx, "batch "+ref.ID, err)
	if errors.Is(err, ErrNotFound) {
		res, err = s.StoredResult(ctx, ref)
	}
	return res, true, err
}

// StoredResult is a batch that Temporal no longer has, as the store knows it. It is
// ErrNotFound when the store has no batch of that id that ended.
func (s *Server) StoredResult(ctx context.Context, ref Ref) (message.Result, error) {
	none := fmt.Errorf("batch %s: %w", ref.ID, ErrNotFound)
	if s.Store == nil {
		return message.Result{}, none
	}
	dirs, err := s.Store.Find(ctx, TenantOf(ref), ref.ID)
	if err != nil {
		return message.Result{}, StoreError("batch "+ref.ID, err)
	}
	for _, dir := range dirs {
		res, err := s.Store.Result(ctx, dir)
		if store.Missing(err) {
			continue
		}
		if err != nil {
			return message.Result{}, StoreError("batch "+ref.ID, err)
		}
		return *res, nil
	}
	return message.Result{}, none
}

// DescribeOrStored describes a batch, also one that only the store remembers.
func (s *Server) DescribeOrStored(ctx context.Context, ref Ref) (Description, error) {
	d, err := s.Describe(ctx, ref)
	if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	res, err := s.StoredResult(ctx, ref)
	if err != nil {
		return Description{}, err
	}
	if res.Large == nil {
		return Description{}, fmt.Errorf("batch %s: its result does not say where its messages are", ref.ID)
	}
	return Description{Known: true, End: &res, Memo: Memo{Total: res.Status.Total, Dir: res.Large.Dir}}, nil
}
