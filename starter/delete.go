package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"volley/internal/store"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// Delete removes a batch that has ended everywhere: its workflows from Temporal and
// its folders from the store. A record that it was deleted stays in Temporal for whoever
// fills the index, see Deleted. The server removes workflows in its own time; Delete
// waits for that up to Options.Wait, so that the id is free and nothing answers for it
// any more. When that takes longer it is removed as well, and the error is ErrDeletionPending.
//
// A folder that may be that of a start under way, one without a manifest and
// younger than a day, stays; what is left of a cut-off start is for Purge.
//
// Errors: ErrNotFound, ErrStillRunning, ErrUnreachable, ErrDeletionPending. After an error
// Delete can be repeated.
func (s *Starter) Delete(ctx context.Context, ref Ref) error {
	d, none := s.server.Describe(ctx, ref)
	if none != nil && !errors.Is(none, ErrNotFound) {
		return none
	}
	if d.Open {
		return fmt.Errorf("delete batch %s: %w, cancel it first", ref.ID, ErrStillRunning)
	}
	if s.o.Store != nil && d.Memo.Dir != "" {
		if err := s.o.Store.Present(ctx); err != nil {
			return server.StoreError("delete batch "+ref.ID, err)
		}
	}
	dirs, err := s.folders(ctx, ref, d)
	if err != nil {
		return err
	}
	if none != nil && len(dirs) == 0 {
		return none
	}
	if d.Memo.RedriveOf != "" {
		if err := s.dropRedrive(ctx, ref, d.Memo.RedriveOf); err != nil {
			return err
		}
	}
	if err := s.removeRedrives(ctx, ref, ""); err != nil {
		return err
	}
	// Whoever keeps reports is to write nothing more, and nobody is called back.
	wid := WorkflowID(ref)
	for _, id := range []string{contract.ReportsID(wid), contract.NotifyID(wid)} {
		if err := s.removeRun(ctx, ref, id, ""); err != nil {
			return err
		}
	}
	// The batch's own workflow goes last, so that what is left after an error can
	// still be found.
	for _, f := range dirs {
		if f.Complete {
			if err := s.removeRedrives(ctx, ref, f.Dir); err != nil {
				return err
			}
		}
		if err := s.removeSegments(ctx, ref, f); err != nil {
			return err
		}
		if err := s.o.Store.Delete(ctx, f.Dir); err != nil {
			return server.StoreError("delete batch "+ref.ID, err)
		}
	}
	if err := s.recordDeleted(ctx, ref, d.Memo.CreatedAt); err != nil {
		return err
	}
	if err := s.removeRuns(ctx, ref); err != nil {
		return err
	}
	return s.awaitDeleted(ctx, ref)
}

const (
	// recordFor ends a record of a deletion that was not terminated. recordDelay keeps workers
	// from it meanwhile.
	recordFor   = time.Minute
	recordDelay = time.Hour
)

// recordDeleted leaves a closed workflow that says which batch was deleted, as long as the
// namespace keeps what has ended: whoever fills the index may be away now.
func (s *Starter) recordDeleted(ctx context.Context, ref Ref, created time.Time) error {
	if created.IsZero() { // only its folder was left
		created = s.o.Now()
	}
	id := contract.DeletedID(WorkflowID(ref), created)
	_, err := s.server.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: s.o.TaskQueue, StartDelay: recordDelay, WorkflowExecutionTimeout: recordFor,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, contract.DeletedName)
	if err != nil {
		return server.Translate(ctx, "delete batch "+ref.ID, err)
	}
	_ = s.server.Client.TerminateWorkflow(ctx, id, "", "the batch was deleted; this tells whoever fills the index") // else it ends by itself
	return nil
}

// awaitDeleted waits until the server does not know a batch any more. It has taken the
// order to remove it.
func (s *Starter) awaitDeleted(ctx context.Context, ref Ref) error {
	wctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	deleted := poll(wctx, func() bool {
		_, err := s.server.Describe(wctx, ref)
		return errors.Is(err, ErrNotFound)
	})
	if deleted {
		return nil
	}
	if ctx.Err() != nil {
		return server.Translate(ctx, "delete batch "+ref.ID, ctx.Err())
	}
	return fmt.Errorf("delete batch %s: %w", ref.ID, ErrDeletionPending)
}

// folders are those of a batch in the store that can go.
func (s *Starter) folders(ctx context.Context, ref Ref, d server.Description) ([]store.Folder, error) {
	if s.o.Store == nil {
		if d.Memo.Dir != "" {
			return nil, server.Invalid("batch %s has files in the store, and none is configured", ref.ID)
		}
		return nil, nil
	}
	dirs, err := s.o.Store.FindAll(ctx, server.TenantOf(ref), ref.ID)
	if err != nil {
		return nil, server.StoreError("batch "+ref.ID, err)
	}
	var own []store.Folder
	for _, f := range dirs {
		whose, err := s.ownerOf(ctx, f)
		if err != nil {
			return nil, err
		}
		written := f.Reports || f.Complete || f.Ended || f.Dir == d.Memo.Dir || s.o.Now().Sub(f.Written) >= orphanAge
		if written && whose != ownerOther {
			own = append(own, f)
		}
	}
	return own, nil
}

// removals is how many workflows are removed at once.
const removals = 8

// removeSegments removes the workflows of the segments in a folder. Most of them
// have one run, which needs no look-up.
func (s *Starter) removeSegments(ctx context.Context, ref Ref, f store.Folder) error {
	if !f.Complete {
		return nil // without a manifest nothing was started
	}
	m, err := s.o.Store.Manifest(ctx, f.Dir)
	if err != nil {
		return server.StoreError("delete batch "+ref.ID, err)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(removals)
	for number := range m.Segments {
		group.Go(func() error { return s.removeRun(gctx, ref, server.SegmentID(WorkflowID(ref), number+1), "") })
	}
	return group.Wait()
}

// removeRuns removes what visibility still has of the batch: runs that went on as others,
// and at last the batch's own workflow.
func (s *Starter) removeRuns(ctx context.Context, ref Ref) error {
	wid := WorkflowID(ref)
	var own []string
	for info, err := range s.server.Runs(ctx, "WorkflowId = "+server.Quote(wid)+" OR WorkflowId STARTS_WITH "+server.Quote(wid+"~")) {
		id, run := info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()
		switch {
		case err != nil:
			return server.Translate(ctx, "delete batch "+ref.ID, err)
		case id == wid:
			own = append(own, run)
		case strings.HasPrefix(id, wid+"~"):
			if err := s.removeRun(ctx, ref, id, run); err != nil {
				return err
			}
		}
	}
	for _, run := range append(own, "") {
		if err := s.removeRun(ctx, ref, wid, run); err != nil {
			return err
		}
	}
	return nil
}

// removeRun removes one workflow of a batch, see server.Remove.
func (s *Starter) removeRun(ctx context.Context, ref Ref, workflowID, runID string) error {
	return server.Translate(ctx, "delete batch "+ref.ID, s.server.Remove(ctx, workflowID, runID))
}
