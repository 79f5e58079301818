package starter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"volley/internal/store"
	"volley/workflows"
)

// Delete removes a batch that has ended everywhere: its workflows from Temporal and
// its folders from the store. The server removes workflows in its own time; Delete
// waits for that up to Options.Wait, so that the id is free and nothing answers for it
// any more. When that takes longer it is removed as well, and the error is ErrLingers.
//
// A folder that may be that of a start under way, one without a manifest and
// younger than a day, stays; what is left of a cut-off start is for Purge.
//
// Errors: ErrNotFound, ErrRuns, ErrUnreachable, ErrLingers. After an error
// Delete can be repeated.
func (s *Starter) Delete(ctx context.Context, ref Ref) error {
	d, err := s.describe(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	there := err == nil
	if d.open {
		return fmt.Errorf("delete batch %s: %w, cancel it first", ref.ID, ErrRuns)
	}
	dirs, err := s.folders(ctx, ref, d)
	if err != nil {
		return err
	}
	if !there && len(dirs) == 0 {
		return fmt.Errorf("batch %s: %w", ref.ID, ErrNotFound)
	}
	// Whoever keeps reports is to write nothing more.
	if err := s.remove(ctx, workflows.ReportsID(WorkflowID(ref)), ""); err != nil {
		return s.translate(ctx, "delete batch "+ref.ID, err)
	}
	// The batch's own workflow goes last, so that what is left after an error can
	// still be found.
	if err := s.removeSegments(ctx, ref, dirs); err != nil {
		return err
	}
	for _, f := range dirs {
		if err := s.o.Store.Delete(ctx, f.Dir); err != nil {
			return s.storeError("delete batch "+ref.ID, err)
		}
	}
	if err := s.removeRuns(ctx, ref); err != nil {
		return err
	}
	return s.vanished(ctx, ref)
}

// vanished waits until the server does not know a batch any more. It has taken the
// order to remove it.
func (s *Starter) vanished(ctx context.Context, ref Ref) error {
	wctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	for pause := firstLook; ; pause = min(2*pause, maxLook) {
		if _, err := s.describe(wctx, ref); errors.Is(err, ErrNotFound) {
			return nil
		}
		timer.Reset(pause)
		select {
		case <-wctx.Done():
			if ctx.Err() == nil {
				return fmt.Errorf("delete batch %s: %w", ref.ID, ErrLingers)
			}
			return s.translate(ctx, "delete batch "+ref.ID, ctx.Err())
		case <-timer.C:
		}
	}
}

// folders are those of a batch in the store that can go.
func (s *Starter) folders(ctx context.Context, ref Ref, d description) ([]store.Folder, error) {
	if s.o.Store == nil {
		if d.memo.Dir != "" {
			return nil, invalid("batch %s has files in the store, and none is configured", ref.ID)
		}
		return nil, nil
	}
	dirs, err := s.o.Store.FindAll(ctx, tenantOf(ref), ref.ID)
	if err != nil {
		return nil, s.storeError("batch "+ref.ID, err)
	}
	return slices.DeleteFunc(dirs, func(f store.Folder) bool {
		return !f.Reports && !f.Complete && !f.Ended && f.Dir != d.memo.Dir && s.o.Now().Sub(f.Written) < orphanAge
	}), nil
}

// removals is how many workflows are removed at once.
const removals = 8

// removeSegments removes the workflows of all segments and retries. Most of them
// have one run, which needs no look-up.
func (s *Starter) removeSegments(ctx context.Context, ref Ref, dirs []store.Folder) error {
	wid := WorkflowID(ref)
	for _, f := range dirs {
		if !f.Complete {
			continue // without a manifest nothing was started
		}
		m, err := s.o.Store.Manifest(ctx, f.Dir)
		if err != nil {
			return s.storeError("delete batch "+ref.ID, err)
		}
		last := len(m.Segments)
		if res, err := s.o.Store.Result(ctx, f.Dir); err == nil && res.Large != nil {
			for _, r := range res.Large.Retries {
				last = max(last, r.Number)
			}
		}
		group, gctx := errgroup.WithContext(ctx)
		group.SetLimit(removals)
		for number := range last {
			group.Go(func() error { return s.remove(gctx, segmentID(wid, number+1), "") })
		}
		if err := group.Wait(); err != nil {
			return s.translate(ctx, "delete batch "+ref.ID, err)
		}
	}
	return nil
}

// removeRuns removes the batch's callbacks, and what visibility still has of it: runs that went on as
// others, retries that no result names, and at last the batch's own workflow.
func (s *Starter) removeRuns(ctx context.Context, ref Ref) error {
	wid := WorkflowID(ref)
	what := "delete batch " + ref.ID
	own := []string{}
	if err := s.remove(ctx, workflows.NotifyID(wid), ""); err != nil {
		return s.translate(ctx, what, err)
	}
	for info, err := range s.runs(ctx, "WorkflowId = "+quote(wid)+" OR WorkflowId STARTS_WITH "+quote(wid+"~")) {
		id, run := info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId()
		switch {
		case err != nil:
			return s.translate(ctx, what, err)
		case id == wid:
			own = append(own, run)
		case strings.HasPrefix(id, wid+"~"):
			if err := s.remove(ctx, id, run); err != nil {
				return s.translate(ctx, what, err)
			}
		}
	}
	for _, run := range append(own, "") {
		if err := s.remove(ctx, wid, run); err != nil {
			return s.translate(ctx, what, err)
		}
	}
	return nil
}

// runs lists what visibility finds, page by page.
func (s *Starter) runs(ctx context.Context, query string) iter.Seq2[*workflowpb.WorkflowExecutionInfo, error] {
	return func(yield func(*workflowpb.WorkflowExecutionInfo, error) bool) {
		var token []byte
		for {
			lctx, cancel := context.WithTimeout(ctx, s.o.Wait)
			res, err := s.c.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: maxList, NextPageToken: token, Query: query})
			cancel()
			if err != nil {
				yield(nil, err)
				return
			}
			for _, info := range res.GetExecutions() {
				if !yield(info, nil) {
					return
				}
			}
			if token = res.GetNextPageToken(); len(token) == 0 {
				return
			}
		}
	}
}
