package console

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// Bounds of what one snapshot reads.
const (
	// openBatches is how many open batches of a tenant are read.
	openBatches = 50
	sideBySide  = 8
	// askWithin bounds what one batch is asked.
	askWithin = 2500 * time.Millisecond
	// lookedInto is of how many batches the oldest waiting message is read.
	lookedInto = 20
	// nextDay is how far ahead what leaves is shown.
	nextDay = 24 * time.Hour
	// lately is how far back failures count.
	lately = time.Hour
)

// openStates are those of batches that have not ended.
const openStates = "scheduled,running,paused,canceling"

// snapshot is how all stands at one time.
type snapshot struct {
	At       time.Time
	Findings []finding
	Accounts []accountLine
	// Running are the batches that are not only scheduled, and Leaving those that leave
	// within a day. More means that there are others.
	Running, Leaving []openBatch
	More             bool
	Holds            []starter.HoldDocument
}

// accountLine is an account, with what waits for it.
type accountLine struct {
	starter.AccountHealth
	ProviderName string
	Waiting      int
	// Oldest is when the oldest of them was due, as far as it is known.
	Oldest time.Time
	// Stat is how its messages of the last hour went; nil is not known.
	Stat *index.Stat
	// Reasons are those of its open batches.
	Reasons message.Reasons
}

// openBatch is a batch that has not ended.
type openBatch struct {
	message.Status
	Campaign string
	// NoWorker means that none has answered for it.
	NoWorker bool
	// Oldest is when the oldest of its waiting messages was due, and OldestThrough its
	// account.
	Oldest        time.Time
	OldestThrough string
}

// Path is where the batch is.
func (b openBatch) Path() string { return batchPath(b.Tenant, b.ID) }

// Done is how many of the messages have ended.
func (b openBatch) Done() int {
	if b.Counts == nil {
		return 0
	}
	return b.Total - b.Counts.Open()
}

// TopReason is the most frequent reason; nil is none.
func (b openBatch) TopReason() *message.Reason { return topReason(b.Reasons) }

func topReason(all message.Reasons) *message.Reason {
	i := slices.IndexFunc(all, func(r message.Reason) bool { return r.State != message.Retrying })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// takeSnapshot reads how all stands. Where Temporal does not answer it is the one before,
// with that on top.
func (c *Console) takeSnapshot(ctx context.Context) *snapshot {
	s := &snapshot{At: c.o.Now()}
	var open []openBatch
	var stats lateStats
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.readAccounts(gctx, s) })
	group.Go(func() (err error) { open, s.More, err = c.readOpen(gctx); return err })
	group.Go(func() error { stats = c.readStats(gctx); return nil })
	if err := group.Wait(); err != nil {
		return c.history.unreadable(s.At, err)
	}
	c.lookIntoWaiting(ctx, open)
	s.spread(open, s.At)
	s.join(stats)
	s.Findings = c.history.since(s.At, findingsOf(s, stats, c.history.rising(s.At, unknownOf(open, stats))))
	c.history.keep(s)
	return s
}

func (c *Console) readAccounts(ctx context.Context, s *snapshot) error {
	list, err := c.o.Batches.Accounts(ctx, starter.AccountsQuery{Accounts: c.o.Accounts})
	if err != nil {
		return err
	}
	s.Holds = list.Holds
	for _, a := range list.Accounts {
		s.Accounts = append(s.Accounts, accountLine{AccountHealth: a, ProviderName: providerName(a.Provider)})
	}
	return nil
}

// readOpen reads the open batches of all tenants.
func (c *Console) readOpen(ctx context.Context) (all []openBatch, more bool, err error) {
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for i := range c.o.Callers {
		group.Go(func() error {
			list, err := c.o.Batches.List(gctx, starter.ListQuery{Tenant: c.o.Callers[i].Tenant, State: openStates, Limit: openBatches})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			more = more || list.Next != ""
			for _, st := range list.Batches {
				all = append(all, openBatch{Status: st, Campaign: c.campaignOf(st.ID, st.Metadata)})
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	slices.SortStableFunc(all, func(a, b openBatch) int { return b.CreatedAt.Compare(a.CreatedAt) })
	var asking errgroup.Group
	asking.SetLimit(sideBySide)
	for i := range all {
		b := &all[i]
		if b.State == message.BatchScheduled && b.NextDueAt != nil && b.NextDueAt.Sub(c.o.Now()) > nextDay {
			continue
		}
		asking.Go(func() error {
			b.NoWorker = c.ask(ctx, &b.Status)
			return nil
		})
	}
	_ = asking.Wait() // none fails
	return all, more, nil
}

// ask fills in what a batch says of itself. It reports whether no worker answered.
func (c *Console) ask(ctx context.Context, st *message.Status) (noWorker bool) {
	actx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	full, err := c.status(actx, starter.Ref{Tenant: st.Tenant, ID: st.ID})
	switch {
	case err == nil:
		if len(full.Metadata) <= len("{}") {
			full.Metadata = st.Metadata
		}
		*st = full
	case errors.Is(err, starter.ErrNoWorker), actx.Err() != nil && ctx.Err() == nil:
		return true
	}
	return false
}

// status is a batch's, which pages that show it at the same time share.
func (c *Console) status(ctx context.Context, ref starter.Ref) (message.Status, error) {
	return c.statuses.get(ctx, ref, ref.Tenant+"/"+ref.ID)
}

// lookIntoWaiting finds the oldest message that waits, of the batches that have some.
func (c *Console) lookIntoWaiting(ctx context.Context, open []openBatch) {
	var group errgroup.Group
	group.SetLimit(sideBySide)
	looked := 0
	for i := range open {
		b := &open[i]
		if b.Counts == nil || b.Counts[message.Accepted] == 0 || looked == lookedInto {
			continue
		}
		looked++
		group.Go(func() error {
			lctx, cancel := context.WithTimeout(ctx, askWithin)
			defer cancel()
			page, err := c.o.Batches.Messages(lctx, starter.Ref{Tenant: b.Tenant, ID: b.ID}, message.PageQuery{State: message.Accepted.String()})
			if err != nil {
				return nil //nolint:nilerr // then it is not known
			}
			for _, r := range page.Messages {
				if r.DueAt != nil && (b.Oldest.IsZero() || r.DueAt.Before(b.Oldest)) {
					b.Oldest, b.OldestThrough = *r.DueAt, r.Account
				}
			}
			return nil
		})
	}
	_ = group.Wait() // none fails
}

// spread sorts the batches into those that run and those that leave, and adds what waits
// to the accounts.
func (s *snapshot) spread(open []openBatch, now time.Time) {
	for _, b := range open {
		if b.State == message.BatchScheduled {
			if b.NextDueAt != nil && b.NextDueAt.Sub(now) <= nextDay {
				s.Leaving = append(s.Leaving, b)
			}
			continue
		}
		s.Running = append(s.Running, b)
		if b.Counts == nil {
			continue
		}
		name := cmp.Or(b.Account, b.OldestThrough)
		i := slices.IndexFunc(s.Accounts, func(a accountLine) bool { return a.Name == name })
		if i < 0 {
			continue
		}
		a := &s.Accounts[i]
		a.Waiting += b.Counts[message.Accepted] + b.Counts[message.Retrying]
		a.Reasons.Add(b.Reasons)
		if !b.Oldest.IsZero() && (a.Oldest.IsZero() || b.Oldest.Before(a.Oldest)) {
			a.Oldest = b.Oldest
		}
	}
	slices.SortStableFunc(s.Leaving, func(a, b openBatch) int { return a.NextDueAt.Compare(*b.NextDueAt) })
}

// join adds what the index knows to the accounts.
func (s *snapshot) join(stats lateStats) {
	for i := range s.Accounts {
		a := &s.Accounts[i]
		a.Reasons = a.Reasons.Of(countsOf(a.Reasons))
		for j := range stats.byAccount {
			if stats.byAccount[j].Key == a.Name {
				a.Stat = &stats.byAccount[j]
			}
		}
	}
}

// countsOf are the counts that reasons add up to.
func countsOf(all message.Reasons) (c message.Counts) {
	for _, r := range all {
		c[r.State] += r.Count
	}
	return c
}
