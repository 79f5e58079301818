package person

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"volley/internal/index"
	"volley/starter"
)

const (
	// patience is how long is waited where nobody says: workers look for new batches every
	// few seconds.
	patience = 20 * time.Second
	// lookAgain is how long after a look the next one is.
	lookAgain = 500 * time.Millisecond
	// listLag is how late Temporal's list may have shown a batch that has ended.
	listLag = time.Hour
	// maxNamed is how many batches an error names.
	maxNamed = 5
)

// BehindError says that the index lacks Batches, so that nothing was done. It is an
// index.ErrUnavailable.
type BehindError struct{ Batches []string }

func (e *BehindError) Error() string {
	named := strings.Join(e.Batches[:min(len(e.Batches), maxNamed)], ", ")
	if more := len(e.Batches) - maxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return "the index lacks batches that workers take in (" + named + "): nothing was done, try again"
}

// Is makes it an index.ErrUnavailable.
func (e *BehindError) Is(target error) bool { return target == index.ErrUnavailable }

// caughtUp waits until the index has all batches of a tenant that Temporal lists: what it lacks
// would be left alone, and afterwards nobody would find it. It is a BehindError where the index
// does not get there.
func (r *Records) caughtUp(ctx context.Context, tenant string) error {
	deadline := time.NewTimer(cmp.Or(r.Patience, patience))
	defer deadline.Stop()
	for {
		missing, err := r.missing(ctx, tenant)
		if err != nil || len(missing) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return &BehindError{missing}
		case <-time.After(lookAgain):
		}
	}
}

// missing are the batches of a tenant that the index lacks: of those that have not ended, and of
// those that ended since it heard of any last.
func (r *Records) missing(ctx context.Context, tenant string) (ids []string, err error) {
	s, err := r.Index.Status(ctx)
	if err != nil {
		return nil, err
	}
	q := starter.ListedQuery{Open: true, Closed: true}
	if s.AsOf != nil {
		q.Since = s.AsOf.Add(-listLag)
	}
	for l, err := range r.Batches.Listed(ctx, q) {
		if err != nil {
			return nil, err
		}
		if cmp.Or(l.Tenant, starter.DefaultTenant) != cmp.Or(tenant, starter.DefaultTenant) {
			continue
		}
		p, err := r.Index.Position(ctx, tenant, l.ID)
		if err != nil {
			return nil, err
		}
		if p.Rev == 0 && !p.Done { // not all of it was read once
			ids = append(ids, l.ID)
		}
	}
	return ids, nil
}
