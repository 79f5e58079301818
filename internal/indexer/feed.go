package indexer

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/index"
	"volley/starter"
)

// Index is what is filled; *index.Index is one.
type Index interface {
	Advance(ctx context.Context, b index.Batch, messages []index.Message, s index.Step) error
	Position(ctx context.Context, tenant, id string) (index.Position, error)
	Claim(ctx context.Context, name, owner string, ttl time.Duration) (term int64, err error)
	Drop(ctx context.Context, tenant, id string, before time.Time) (bool, error)
	Delete(ctx context.Context, tenant, id string, created time.Time) (bool, error)
	Expire(ctx context.Context) error
	Stats(ctx context.Context, q index.StatsQuery) ([]index.Stat, error)
}

// Batches is where it is filled from; *starter.Starter is one.
type Batches interface {
	Listed(ctx context.Context, q starter.ListedQuery) iter.Seq2[starter.Listed, error]
	Snapshot(ctx context.Context, l starter.Listed) (starter.Snapshot, error)
	Deleted(ctx context.Context, since time.Time) iter.Seq2[starter.Deleted, error]
}

// Options say what a Feed fills, and from where. Open and Batches are needed.
type Options struct {
	// Open opens the index, which stays the caller's to close. It is tried again until it
	// succeeds.
	Open    func(context.Context) (Index, error)
	Batches Batches
	// Owner names this process, as no other is named.
	Owner string
	// Metadata are the keys of a batch's metadata that are taken in. Campaigns have their
	// names under the first.
	Metadata []string
	// Retention is how long after its end a batch is taken in at all; 0 is for ever.
	Retention time.Duration
	// Sending reports whether messages leave this process; nil is never.
	Sending func() bool
	// Metrics takes measurements; nil is nobody.
	Metrics client.MetricsHandler
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log is where odd things are noted; nil is nowhere.
	Log *zap.Logger
}

const (
	// leaseName is that of who fills the index. It is renewed every leaseRenew, and free
	// leaseFor after the last time.
	leaseName  = "feed"
	leaseFor   = 30 * time.Second
	leaseRenew = 10 * time.Second
	// leaveWithin bounds giving it up.
	leaveWithin = time.Second
	// passEvery is how long after a pass the next begins, and fullEvery how long after one
	// over all batches the next of these does.
	passEvery = 3 * time.Second
	fullEvery = time.Hour
	// overlap is how far the list of ended batches may lag behind without a full pass.
	overlap = 15 * time.Second
	// firstSince is how far back the first pass looks, so that what is new does not wait for
	// what is old.
	firstSince = 10 * time.Minute
	// awayFirst and awayMost bound the wait for a database that is away.
	awayFirst = time.Second
	awayMost  = 15 * time.Second
	// remembered is of how many batches it is kept how they were found.
	remembered = 50_000
)

// Feed fills an index.
type Feed struct {
	o     Options
	index Index
	// lease and term are what a pass is made under; a rebuild has none.
	lease   string
	term    int64
	pace    pace
	row     rowMaker
	metrics metrics

	// since is from when on ended batches are listed, and full when all were listed last.
	since, full time.Time
	// told are the campaigns of which was told how they do, at toldAt.
	told   []string
	toldAt time.Time
	// away means that it was said that the database, or Temporal, is.
	away bool

	mu    sync.Mutex
	found *lru.Cache[key, found]
	// failed are batches that could not be read.
	failed map[key]starter.Listed
	// freshAt is up to when everything is in; behind is that as far as a pass has come.
	freshAt, behind time.Time
}

// New returns a Feed.
func New(o Options) *Feed {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sending == nil {
		o.Sending = func() bool { return false }
	}
	o.Log = cmp.Or(o.Log, zap.NewNop())
	all, _ := lru.New[key, found](remembered) // fails below 1
	return &Feed{o: o, pace: pace{sending: o.Sending, now: o.Now}, row: newRowMaker(o.Metadata), metrics: newMetrics(o.Metrics), found: all, failed: map[key]starter.Listed{}}
}

// Run fills the index until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	f.freshAt = f.o.Now()
	f.patiently(ctx, func() error {
		x, err := f.o.Open(ctx)
		if err == nil { // else it may be a nil of a type of its own
			f.index = x
		}
		return err
	})
	for ctx.Err() == nil {
		f.turn(ctx)
		pause(ctx, passEvery)
	}
	if f.index != nil { // so that the next one need not wait
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer cancel()
		_, _ = f.index.Claim(leaving, leaseName, f.o.Owner, 0) // else it runs out
	}
}

// turn makes a pass if it is this process's turn, and as long as it stays that.
func (f *Feed) turn(ctx context.Context) {
	last := f.term
	if f.patiently(ctx, func() (err error) {
		f.term, err = f.index.Claim(ctx, leaseName, f.o.Owner, leaseFor)
		return err
	}); f.term != last { // whoever had it may have died at any point
		f.since, f.full = time.Time{}, time.Time{}
	}
	if f.lease = leaseName; f.term == 0 {
		f.metrics.lag(0)
		f.showCampaigns(nil)
		return
	}
	passing, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { f.renew(passing, cancel) })
	defer renewing.Wait()
	defer cancel()
	f.patiently(passing, func() error {
		err := f.pass(passing)
		if err == nil {
			err = f.tellCampaigns(passing)
		}
		if errors.Is(err, index.ErrLease) { // the next turn claims it anew
			return nil
		}
		return err
	})
}

// renew keeps the lease and tells the lag while a pass goes on. Without the lease it ends
// the pass.
func (f *Feed) renew(ctx context.Context, cancel func()) {
	last := f.o.Now()
	for {
		f.tellLag()
		if !pause(ctx, leaseRenew) {
			return
		}
		term, err := f.index.Claim(ctx, leaseName, f.o.Owner, leaseFor)
		switch {
		case err == nil && term == f.term:
			last = f.o.Now()
		case err == nil, f.o.Now().Sub(last) > leaseFor-leaseRenew:
			cancel()
			return
		}
	}
}

// patiently does something until it succeeds or ctx ends, such as until the database or
// Temporal is there again.
func (f *Feed) patiently(ctx context.Context, do func() error) {
	for wait := awayFirst; ; wait = min(2*wait, awayMost) {
		err := do()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if f.away {
				f.away = false
				f.o.Log.Info("the index is filled again")
			}
			return
		}
		f.metrics.fail(causeOf(err))
		if !f.away {
			f.away = true
			f.o.Log.Warn("the index waits, sending does not; what it misses is taken in later", zap.Error(err))
		}
		f.tellLag()
		if !pause(ctx, wait) {
			return
		}
	}
}

func (f *Feed) tellLag() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metrics.lag(max(f.o.Now().Sub(f.freshAt), 0))
}

// Causes of errors, as they are counted.
const (
	causeDatabase = "database"
	causeTemporal = "temporal"
	causeBatch    = "batch"
)

func causeOf(err error) string {
	if errors.Is(err, errBatches) {
		return causeTemporal
	}
	return causeDatabase
}

// errBatches marks errors of Batches that are about no single batch.
var errBatches = errors.New("batches cannot be read")

// pause waits, or returns false once ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
