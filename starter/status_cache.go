package starter

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"volley/internal/message"
	"volley/starter/internal/server"
)

// maxStatuses is of how many batches it is kept how they stand, and maxStatus how
// much one of them may say of itself, about, in bytes.
const (
	maxStatuses = 2000
	maxStatus   = 16 << 10
)

// cachedStatus is how a batch stands. Only a large one has more than the Status of its
// Overview.
type cachedStatus struct {
	// at is where its history ended before it was asked, if known: while it still
	// ends there, all of this holds.
	at server.HistoryPosition
	// asked is when it was asked, by the starter's clock.
	asked       time.Time
	large, open bool
	message.Overview
}

const (
	// statusWait is how long a status waits for a large batch that told within statusFresh
	// how it stands. Under load its worker may take much longer to answer.
	statusWait  = 15 * time.Millisecond
	statusFresh = time.Second
)

// statusCache has how batches stood when they were last asked.
type statusCache struct {
	all *lru.Cache[Ref, cachedStatus]
	// changed is when this process last asked for a change of a batch.
	changed *lru.Cache[Ref, time.Time]
	asking  singleflight.Group
}

func newStatusCache() *statusCache {
	all, _ := lru.New[Ref, cachedStatus](maxStatuses) // fails below 1
	changed, _ := lru.New[Ref, time.Time](maxStatuses)
	return &statusCache{all: all, changed: changed}
}

// refresh asks how a batch stands, which last tells as it was before. Where the answer
// takes longer than statusWait, and last is fresh, it is last; the answer is for the next
// one who asks. Callers at the same time share a question.
func (c *statusCache) refresh(ctx context.Context, ref Ref, last cachedStatus, now time.Time, ask func(context.Context) (cachedStatus, error)) (cachedStatus, error) {
	asking := context.WithoutCancel(ctx)
	answer := c.asking.DoChan(WorkflowID(ref), func() (any, error) { return ask(asking) })
	var late <-chan time.Time
	if changed, _ := c.changed.Get(ref); now.Sub(last.asked) <= statusFresh && last.asked.After(changed) {
		timer := time.NewTimer(statusWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-answer:
		st, _ := r.Val.(cachedStatus)
		return st, r.Err
	case <-late:
		return last, nil
	case <-ctx.Done():
		return cachedStatus{}, ctx.Err()
	}
}

// changed notes that this process has asked for a change of a batch, so that no status
// tells what was before, not by a question that was put before either.
func (s *Starter) changed(ref Ref) {
	s.statuses.changed.Add(ref, s.o.Now())
	s.statuses.asking.Forget(WorkflowID(ref))
}

// add remembers how a batch stands, unless that takes much memory or somebody who asked
// later has been answered before.
func (c *statusCache) add(ref Ref, st cachedStatus) {
	n := len(st.Status.Metadata) + len(st.Large.Segments)
	last, _ := c.all.Peek(ref)
	if n <= maxStatus && !last.asked.After(st.asked) {
		c.all.Add(ref, st)
	}
}
