package suppression

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"volley/internal/index"
)

const (
	// Bound is how old a list may be that messages leave by: a change is in force everywhere
	// so long after it was written.
	Bound = 2 * time.Second
	// every is how often changes are read, and readWait how long that may take.
	every    = 500 * time.Millisecond
	readWait = 2 * time.Second
	// atOnce is how many changes are read in one go, few enough to be read within readWait where
	// the machine is busy: what was read counts, and the rest goes on from there.
	atOnce = 5_000
	// anew is after how long without a reading all of the list is read again: the index
	// forgets what was removed after a week.
	anew = 24 * time.Hour
)

// Source is the index.
type Source interface {
	SuppressedSince(ctx context.Context, seq int64, limit int) ([]index.SuppressionChange, int64, error)
	HashSuppressed(recipient, region string) index.SuppressionHash
}

// Options are what a List is made of.
type Options struct {
	// Open returns the index; an error has it tried again. It is called by one goroutine.
	Open func(context.Context) (Source, error)
	// SendsUnknown reports whether messages of a tenant leave although the list is unknown;
	// nil is that none do.
	SendsUnknown func(tenant string) bool
	// Observe is told after every reading how many recipients are on the list, and whether it
	// is unknown to this process; nil is nobody.
	Observe func(recipients int, unknown bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log gets a line when the list becomes unknown, and when it is known again; nil is nowhere.
	Log *zap.Logger
}

// List is who wants no messages. It is safe for concurrent use. Before Run or Load has read
// it, it is unknown.
type List struct {
	o Options

	mu     sync.RWMutex
	source Source
	// of are the recipients of each tenant, the empty one's are everybody's, with when their
	// suppression ends, in Unix seconds; 0 is never.
	of map[string]map[index.SuppressionHash]uint32
	n  int
	// seq is the last change that is in it.
	seq int64
	// fresh is when the last reading began that succeeded; zero is none did. made is when the
	// list was.
	fresh, made time.Time
	// unknown is what the log knows.
	unknown bool
}

// New returns a list that has not been read yet.
func New(o Options) *List {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.SendsUnknown == nil {
		o.SendsUnknown = func(string) bool { return false }
	}
	if o.Observe == nil {
		o.Observe = func(int, bool) {}
	}
	return &List{o: o, of: map[string]map[index.SuppressionHash]uint32{}, made: o.Now()}
}

// Run reads the list and follows its changes until ctx ends.
func (l *List) Run(ctx context.Context) {
	for {
		err := l.Load(ctx)
		if ctx.Err() != nil {
			return
		}
		l.note(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// Load reads what has changed, or all of the list where nothing was read yet.
func (l *List) Load(ctx context.Context) error {
	source, err := l.opened(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if began := l.o.Now(); !l.fresh.IsZero() && began.Sub(l.fresh) > anew {
		l.of, l.n, l.seq, l.fresh, l.made = map[string]map[index.SuppressionHash]uint32{}, 0, 0, time.Time{}, began
	}
	l.mu.Unlock()
	for {
		began := l.o.Now()
		more, err := l.read(ctx, source)
		if err != nil {
			return err
		}
		if !more {
			l.mu.Lock()
			l.fresh = began
			l.mu.Unlock()
			return nil
		}
	}
}

func (l *List) opened(ctx context.Context) (Source, error) {
	l.mu.RLock()
	source := l.source
	l.mu.RUnlock()
	if source != nil {
		return source, nil
	}
	source, err := l.o.Open(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.source = source
	l.mu.Unlock()
	return source, nil
}

// read takes in some changes, and reports whether there are more.
func (l *List) read(ctx context.Context, source Source) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	changes, last, err := source.SuppressedSince(ctx, l.seq, atOnce)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		l.apply(c)
	}
	l.seq = last
	return len(changes) == atOnce, nil
}

func (l *List) apply(c index.SuppressionChange) {
	recipients := l.of[c.Tenant]
	_, there := recipients[c.Hash]
	if c.Removed {
		if delete(recipients, c.Hash); there {
			l.n--
		}
		if len(recipients) == 0 {
			delete(l.of, c.Tenant)
		}
		return
	}
	if recipients == nil {
		recipients = map[index.SuppressionHash]uint32{}
		l.of[c.Tenant] = recipients
	}
	if !there {
		l.n++
	}
	recipients[c.Hash] = uint32(min((c.Until+999)/1000, 1<<32-1)) //nolint:gosec // bounded
}

// note tells whoever watches how the list stands.
func (l *List) note(err error) {
	l.mu.Lock()
	old := l.old()
	changed := old != l.unknown
	l.unknown = old
	n := l.n
	l.mu.Unlock()
	switch {
	case changed && old:
		l.o.Log.Error("the suppression list cannot be read; messages of tenants that have one wait", zap.Error(err))
	case changed:
		l.o.Log.Info("the suppression list can be read again")
	}
	l.o.Observe(n, old)
}

// old reports whether the list is older than Bound. The caller holds mu.
func (l *List) old() bool {
	last := l.fresh
	if last.IsZero() {
		last = l.made
	}
	return l.o.Now().Sub(last) > Bound
}

// Unknown reports whether messages of a tenant wait since the list cannot be read, and since
// when. Those of a tenant that had no recipient on it when it was last read do not.
func (l *List) Unknown(tenant string) (since time.Time, unknown bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.fresh.IsZero():
		since, unknown = l.made, true
	case l.old():
		since, unknown = l.fresh, len(l.of[tenant]) > 0 || len(l.of[""]) > 0
	}
	return since, unknown && !l.o.SendsUnknown(tenant)
}

// Suppressed reports whether a tenant's messages to one of the addresses are not sent, by
// what is known of the list. Phone numbers without a country code are those of a region;
// empty is nowhere.
func (l *List) Suppressed(tenant, region string, addresses []string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	own, all := l.of[tenant], l.of[""]
	if len(own) == 0 && len(all) == 0 {
		return false
	}
	now := l.o.Now().Unix()
	on := func(recipients map[index.SuppressionHash]uint32, h index.SuppressionHash) bool {
		until, ok := recipients[h]
		return ok && (until == 0 || int64(until) > now)
	}
	for _, a := range addresses {
		if h := l.source.HashSuppressed(a, region); on(own, h) || on(all, h) {
			return true
		}
	}
	return false
}

// Len is how many recipients are on the list.
func (l *List) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.n
}
