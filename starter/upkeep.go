package starter

import (
	"context"
	"time"
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

// Purge removes folders from the store that nobody needs: those without a manifest
// and those without a workflow in Temporal, when they are older than a day, and
// those of batches that ended more than olderThan ago. It never removes one whose
// batch runs, and when Temporal cannot be asked it removes nothing. With dryRun it
// only says what it would do.
func (s *Starter) Purge(ctx context.Context, olderThan time.Duration, dryRun bool) (Purged, error) {
	return Purged{}, invalid("there is no store")
}

// Delete removes a batch that has ended everywhere: its workflows from Temporal and
// its folders from the store. Its id is free afterwards.
//
// Errors: ErrNotFound, ErrInvalid (it still runs), ErrUnreachable.
func (s *Starter) Delete(ctx context.Context, ref Ref) error {
	return invalid("there is no store")
}
