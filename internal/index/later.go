package index

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// openWithin bounds opening, and openAgain is how long after it failed it is tried again.
	openWithin = 10 * time.Second
	openAgain  = 5 * time.Second
)

// Later is an index that is opened when it is first needed, and tried again where that
// failed, so that a process does its other work while the database is away. It is safe for
// concurrent use.
type Later struct {
	open func(context.Context) (*Index, error)
	now  func() time.Time

	opening sync.Mutex
	mu      sync.Mutex
	index   *Index
	failed  time.Time
	err     error
}

// NewLater returns a Later with what opens it.
func NewLater(open func(context.Context) (*Index, error)) *Later {
	return &Later{open: open, now: time.Now}
}

// Get is the index. The error of one that could not be opened wraps ErrUnavailable, and
// repeats for 5 s without another try.
func (l *Later) Get(ctx context.Context) (*Index, error) {
	if x, err, known := l.known(); known {
		return x, err
	}
	l.opening.Lock()
	defer l.opening.Unlock()
	if x, err, known := l.known(); known {
		return x, err
	}
	octx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	x, err := l.open(octx)
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index, l.err = x, nil; err != nil {
		l.index, l.err, l.failed = nil, fmt.Errorf("%w: %w", ErrUnavailable, err), l.now()
	}
	return l.index, l.err
}

func (l *Later) known() (*Index, error, bool) { //nolint:revive // the error is part of what is known
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.index != nil:
		return l.index, nil, true
	case l.err != nil && l.now().Sub(l.failed) < openAgain:
		return nil, l.err, true
	}
	return nil, nil, false
}

// Close closes what was opened.
func (l *Later) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index == nil {
		return nil
	}
	return l.index.Close()
}

// Find is Index.Find.
func (l *Later) Find(ctx context.Context, q FindQuery) (FindPage, error) {
	x, err := l.Get(ctx)
	if err != nil {
		return FindPage{}, err
	}
	return x.Find(ctx, q)
}

// Stats is Index.Stats.
func (l *Later) Stats(ctx context.Context, q StatsQuery) ([]Stat, error) {
	x, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return x.Stats(ctx, q)
}

// Batches is Index.Batches.
func (l *Later) Batches(ctx context.Context, q BatchesQuery) (BatchPage, error) {
	x, err := l.Get(ctx)
	if err != nil {
		return BatchPage{}, err
	}
	return x.Batches(ctx, q)
}

// Audit is Index.Audit.
func (l *Later) Audit(ctx context.Context, q AuditQuery) ([]AuditEntry, string, error) {
	x, err := l.Get(ctx)
	if err != nil {
		return nil, "", err
	}
	return x.Audit(ctx, q)
}

// Record is Index.Record.
func (l *Later) Record(ctx context.Context, entries []AuditEntry) error {
	x, err := l.Get(ctx)
	if err != nil {
		return err
	}
	return x.Record(ctx, entries)
}
