package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"volley/internal/store"
)

// Purged says what a purge removed, or with dryRun would have removed.
type Purged struct {
	Folders int   `json:"folders"`
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// List has every folder, in the order of the store.
	List []PurgedFolder `json:"list"`
}

// PurgedFolder is one folder of the store that a purge removed.
type PurgedFolder struct {
	Dir     string    `json:"dir"`
	Tenant  string    `json:"tenant"`
	Batch   string    `json:"batch"`
	Written time.Time `json:"written"`
	Objects int       `json:"objects"`
	Bytes   int64     `json:"bytes"`
	// Reason is one of the Purge constants.
	Reason string `json:"reason"`
}

// Why a purge removes a folder.
const (
	// PurgeUnfinished: it has no manifest, its writer went away.
	PurgeUnfinished = "unfinished"
	// PurgeOld: its batch has ended and is older than asked for.
	PurgeOld = "old"
	// PurgeOrphaned: it has a manifest, and Temporal no workflow for it.
	PurgeOrphaned = "orphaned"
)

// orphanAge is how old a folder must be to count as left behind.
const orphanAge = 24 * time.Hour

// Purge removes folders from the store that nobody needs: those without a manifest
// and those without a workflow in Temporal, when they are older than a day, and
// those of batches that ended more than olderThan ago. It never removes one whose
// batch runs, and when Temporal cannot be asked it removes nothing. With dryRun it
// only says what it would do.
//
// After an error Purged says what was removed before it.
func (s *Starter) Purge(ctx context.Context, olderThan time.Duration, dryRun bool) (Purged, error) {
	out := Purged{List: []PurgedFolder{}}
	switch {
	case s.o.Store == nil:
		return out, invalid("there is nothing to purge without a store")
	case olderThan < 0:
		return out, invalid("an age of %s: expected one that is not negative", olderThan)
	}
	found, err := s.purgeable(ctx, olderThan)
	if err != nil {
		return out, err
	}
	for _, f := range found {
		if !dryRun {
			if err := s.o.Store.Delete(ctx, f.Dir); err != nil {
				return out, s.storeError("purge "+f.Dir, err)
			}
		}
		out.Folders++
		out.Objects += f.Objects
		out.Bytes += f.Bytes
		out.List = append(out.List, f)
	}
	return out, nil
}

// purgeable lists what a purge removes, once Temporal has been asked about all of it.
func (s *Starter) purgeable(ctx context.Context, olderThan time.Duration) ([]PurgedFolder, error) {
	var found []PurgedFolder
	now := s.o.Now()
	for f, err := range s.o.Store.Folders(ctx) {
		if err != nil {
			return nil, s.storeError("purge", err)
		}
		reason, err := s.purgeReason(ctx, f, now.Sub(f.Written), olderThan)
		if err != nil {
			return nil, fmt.Errorf("purge: nothing was removed: %w", err)
		}
		if reason != "" {
			found = append(found, PurgedFolder{
				Dir: f.Dir, Tenant: f.Tenant, Batch: f.Batch, Written: f.Written, Objects: f.Objects, Bytes: f.Bytes, Reason: reason,
			})
		}
	}
	return found, nil
}

// purgeReason says why a folder may go; empty is that it stays.
func (s *Starter) purgeReason(ctx context.Context, f store.Folder, age, olderThan time.Duration) (string, error) {
	reason := ""
	switch {
	case f.Ended && age >= olderThan:
		reason = PurgeOld
	case !f.Ended && age >= orphanAge:
		reason = PurgeOrphaned
		if !f.Complete {
			reason = PurgeUnfinished
		}
	default:
		return "", nil
	}
	d, there, err := s.knows(ctx, Ref{Tenant: f.Tenant, ID: f.Batch})
	switch {
	case err != nil:
		return "", err
	case !there:
		return reason, nil
	case d.known && d.memo.Dir != f.Dir:
		return reason, nil // the batch of that id lies elsewhere, or is a small one
	case d.open || reason == PurgeOrphaned || reason == PurgeUnfinished:
		return "", nil
	}
	return reason, nil
}

// knows asks Temporal for a batch. That the namespace is not there is an error, not
// an answer.
func (s *Starter) knows(ctx context.Context, ref Ref) (description, bool, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return description{}, false, nil //nolint:nilerr // an id that no batch can have has none
	}
	kctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.c.DescribeWorkflowExecution(kctx, wid, "")
	switch {
	case gone(err):
		return description{}, false, nil
	case err != nil:
		err = s.translate(ctx, "batch "+ref.ID, err)
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("the namespace %s is not there: %w", s.o.Namespace, ErrUnreachable)
		}
		return description{}, false, err
	}
	return s.descriptionOf(res.GetWorkflowExecutionInfo()), true, nil
}

// Delete removes a batch that has ended everywhere: its workflows from Temporal and
// its folders from the store. Its id is free afterwards.
//
// Errors: ErrNotFound, ErrInvalid (it still runs), ErrUnreachable. After an error
// Delete can be repeated.
func (s *Starter) Delete(ctx context.Context, ref Ref) error {
	d, err := s.describe(ctx, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	there := err == nil
	if d.open {
		return fmt.Errorf("batch %s still runs: %w: cancel it first", ref.ID, ErrInvalid)
	}
	dirs, err := s.folders(ctx, ref, d)
	if err != nil {
		return err
	}
	if !there && len(dirs) == 0 {
		return fmt.Errorf("batch %s: %w", ref.ID, ErrNotFound)
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
	return s.removeRuns(ctx, ref)
}

// folders are all of a batch in the store.
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
	return dirs, nil
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

// removeRuns removes what visibility still has of a batch: runs that went on as
// others, retries that no result names, and the batch's own workflow.
func (s *Starter) removeRuns(ctx context.Context, ref Ref) error {
	wid := WorkflowID(ref)
	what := "delete batch " + ref.ID
	query := "WorkflowId = " + quote(wid) + " OR WorkflowId STARTS_WITH " + quote(wid+"~")
	var token []byte
	for {
		lctx, cancel := context.WithTimeout(ctx, s.o.Wait)
		res, err := s.c.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: maxList, NextPageToken: token, Query: query})
		cancel()
		if err != nil {
			return s.translate(ctx, what, err)
		}
		for _, info := range res.GetExecutions() {
			id := info.GetExecution().GetWorkflowId()
			if id != wid && !strings.HasPrefix(id, wid+"~") {
				continue
			}
			if err := s.remove(ctx, id, info.GetExecution().GetRunId()); err != nil {
				return s.translate(ctx, what, err)
			}
		}
		if token = res.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	if err := s.remove(ctx, wid, ""); err != nil {
		return s.translate(ctx, what, err)
	}
	return nil
}
