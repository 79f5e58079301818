package person

import (
	"context"
	"time"

	"volley/internal/index"
	"volley/internal/store"
)

// Service does for a process that serves what Records does, with an index that may be away:
// each method then returns an error that wraps index.ErrUnavailable. It is safe for
// concurrent use. Index and Batches must be set.
type Service struct {
	Index   *index.Later
	Batches Batches
	// Store is nil where there is none.
	Store *store.Store
}

func (s *Service) records(ctx context.Context) (*Records, error) {
	x, err := s.Index.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &Records{Index: x, Batches: s.Batches, Store: s.Store}, nil
}

// Suppress is Records.Suppress.
func (s *Service) Suppress(ctx context.Context, all []index.Suppression) (Suppressed, error) {
	r, err := s.records(ctx)
	if err != nil {
		return Suppressed{}, err
	}
	return r.Suppress(ctx, all)
}

// Unsuppress is index.Index's.
func (s *Service) Unsuppress(ctx context.Context, tenant string, recipients []string) (int, error) {
	x, err := s.Index.Get(ctx)
	if err != nil {
		return 0, err
	}
	return x.Unsuppress(ctx, tenant, recipients)
}

// Suppressions is index.Index's.
func (s *Service) Suppressions(ctx context.Context, q index.SuppressionQuery) ([]index.Suppression, string, error) {
	x, err := s.Index.Get(ctx)
	if err != nil {
		return nil, "", err
	}
	return x.Suppressions(ctx, q)
}

// Forget is Records.Forget.
func (s *Service) Forget(ctx context.Context, q Query, dryRun bool) (*Forgotten, error) {
	r, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	return r.Forget(ctx, q, dryRun)
}

// Export is Records.Export.
func (s *Service) Export(ctx context.Context, q Query, now time.Time) (*Export, error) {
	r, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	return r.Export(ctx, q, now)
}
