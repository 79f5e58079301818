package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

var (
	// ErrUnavailable means that the database does not answer, or has no room.
	ErrUnavailable = errors.New("the index does not answer")
	// ErrInvalid means that a query or a cursor makes no sense.
	ErrInvalid = errors.New("invalid")
	// ErrKeys means that the index was made with keys that are not at hand.
	ErrKeys = errors.New("the index was made with another keyset")
	// ErrLease means that another process has the lease by now.
	ErrLease = errors.New("another process fills the index by now")
	// ErrMoved means that another process has taken the batch further, or out, since it was
	// read.
	ErrMoved = errors.New("another process was faster")
	// errFault is what must not happen.
	errFault = errors.New("index")
)

// What Options leave to their defaults.
const (
	defaultRetention      = 30 * 24 * time.Hour
	defaultStatsRetention = 400 * 24 * time.Hour
)

// Options say where an index is and what it keeps.
type Options struct {
	// URL is sqlite:///path, a file on a disk of this host, or postgres://…
	URL string
	// Keys seal what names people; nil leaves it as it is.
	Keys *Keys
	// Retention is how long messages stay after their batch ended, StatsRetention how long
	// batches, counters and the audit do; 0 is 30 and 400 days.
	Retention, StatsRetention time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where odd things are noted; nil is nowhere.
	Log *zap.Logger
}

// Index is the read model. Its methods are safe for concurrent use, here and in other
// processes. Errors are an ErrUnavailable, an ErrInvalid, the context's, or faults of
// this package; none repeats a recipient, a reference or a password.
type Index struct {
	o      Options
	db     *database
	people *people

	mu     sync.Mutex
	labels map[label]int64
}

// Open opens an index, makes one where there is none, and brings an older one up to date.
// A file on a network's file system is refused, since SQLite's locks do not hold there.
func Open(ctx context.Context, o Options) (*Index, error) {
	o.Retention = cmp.Or(max(o.Retention, 0), defaultRetention)
	o.StatsRetention = max(cmp.Or(max(o.StatsRetention, 0), defaultStatsRetention), o.Retention)
	o.Log = cmp.Or(o.Log, zap.NewNop())
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := openDatabase(ctx, o.URL)
	if err != nil {
		return nil, err
	}
	x := &Index{o: o, db: db, labels: map[label]int64{}}
	if err := x.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return x, nil
}

func (x *Index) prepare(ctx context.Context) error {
	if err := x.db.migrate(ctx); err != nil {
		return err
	}
	return x.db.change(ctx, func(t *tx) (err error) {
		x.people, err = openPeople(t, x.o.Keys, x.o.Now())
		return err
	})
}

// Close closes the connections. What is under way ends with an error.
func (x *Index) Close() error { return x.db.close() }

// invalid is an ErrInvalid that says what was expected.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Pages of every query.
const (
	defaultLimit = 50
	maxLimit     = 500
)

// limitOf checks the size of a page.
func limitOf(n int) (int, error) {
	if n < 0 || n > maxLimit {
		return 0, invalid("a limit of %d, expected 1 to %d", n, maxLimit)
	}
	return cmp.Or(n, defaultLimit), nil
}

// millis is a time in Unix ms; the zero time is nil, a null.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// at turns Unix ms into a time in UTC; null is the zero time.
func at(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return timeOf(*ms)
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
