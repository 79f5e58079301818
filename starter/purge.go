package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/store"
	"volley/starter/internal/server"
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
// batch runs, or that is of another namespace or cluster; of those that do not say where
// they run it removes what is older than both, or has ended here. When Temporal cannot be
// asked it removes nothing. With dryRun it only says what it would do.
//
// After an error Purged says what was removed before it.
func (s *Starter) Purge(ctx context.Context, olderThan time.Duration, dryRun bool) (Purged, error) {
	out := Purged{List: []PurgedFolder{}}
	if s.o.Store == nil {
		return out, server.Invalid("there is nothing to purge without a store")
	}
	if olderThan < 0 {
		return out, server.Invalid("an age of %s: expected one that is not negative", olderThan)
	}
	found, err := s.purgeable(ctx, olderThan)
	if err == nil && len(found) == 0 {
		err = server.StoreError("purge", s.o.Store.Present(ctx))
	}
	if err != nil {
		return out, err
	}
	for _, f := range found {
		if !dryRun {
			if err := s.o.Store.Delete(ctx, f.Dir); err != nil {
				return out, server.StoreError("purge "+f.Dir, err)
			}
		}
		out.Folders++
		out.Objects += f.Objects
		out.Bytes += f.Bytes
		out.List = append(out.List, *f)
	}
	return out, nil
}

// purgeable lists what a purge removes, once Temporal has been asked about all of it.
func (s *Starter) purgeable(ctx context.Context, olderThan time.Duration) ([]*PurgedFolder, error) {
	var all []*PurgedFolder
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(lookUps)
	for f, err := range s.o.Store.Folders(ctx) {
		if err != nil {
			_ = group.Wait() // what they say does not matter any more
			return nil, server.StoreError("purge", err)
		}
		age := s.o.Now().Sub(f.Written)
		reason := reasonOf(f, age, olderThan)
		if reason == "" {
			continue
		}
		p := &PurgedFolder{Dir: f.Dir, Tenant: f.Tenant, Batch: f.Batch, Written: f.Written, Objects: f.Objects, Bytes: f.Bytes}
		all = append(all, p)
		group.Go(func() error {
			gone, err := s.unneeded(gctx, f, reason, age >= max(olderThan, orphanAge))
			if gone {
				p.Reason = reason
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("purge: nothing was removed: %w", err)
	}
	return slices.DeleteFunc(all, func(f *PurgedFolder) bool { return f.Reason == "" }), nil
}

// lookUps is how many folders are looked at at once.
const lookUps = 16

// reasonOf says why a folder may go, as far as the store tells; empty is that it stays.
// Late reports of a small batch go when nothing was added for as long as is asked for,
// or for a day.
func reasonOf(f store.Folder, age, olderThan time.Duration) string {
	switch {
	case f.Reports && age >= max(olderThan, orphanAge), !f.Reports && f.Ended && age >= olderThan:
		return PurgeOld
	case f.Reports || f.Ended || age < orphanAge:
		return ""
	case f.Complete:
		return PurgeOrphaned
	default:
		return PurgeUnfinished
	}
}

// unneeded reports whether nobody needs a folder that may go. Those of batches of other
// namespaces and clusters stay. Where it is not known whose a batch is, it goes when it
// is old, or when it is known here and has ended.
func (s *Starter) unneeded(ctx context.Context, f store.Folder, reason string, old bool) (bool, error) {
	whose, err := s.ownerOf(ctx, f)
	if err != nil || whose == ownerOther {
		return false, err
	}
	ref := Ref{Tenant: f.Tenant, ID: f.Batch}
	_, impossible := server.WorkflowOf(ref) // no batch has such an id
	d, err := s.server.Describe(ctx, ref)
	switch {
	case impossible != nil, errors.Is(err, ErrNotFound):
	case err != nil:
		return false, err
	case f.Reports:
		return false, nil // somebody may ask for them
	case !d.Known || d.Memo.Dir == f.Dir:
		return !d.Open && reason == PurgeOld, nil
	}
	// There is none, or the batch of that id lies elsewhere, or is a small one.
	return whose == ownerSelf || old, nil
}
