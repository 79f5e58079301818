package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	case f.Reports:
		return s.purgeReports(ctx, f, age, olderThan)
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

// purgeReports says why the late reports of a small batch may go: nobody can ask for
// them any more, since Temporal has forgotten the batch, and nothing was added to them
// for as long as is asked for, or for a day.
func (s *Starter) purgeReports(ctx context.Context, f store.Folder, age, olderThan time.Duration) (string, error) {
	if age < max(olderThan, orphanAge) {
		return "", nil
	}
	_, there, err := s.knows(ctx, Ref{Tenant: f.Tenant, ID: f.Batch})
	if err != nil || there {
		return "", err
	}
	return PurgeOld, nil
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
