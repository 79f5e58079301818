package audit

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"

	"volley/internal/index"
)

// Recorder keeps lines in a database; *index.Index is one.
type Recorder interface {
	Record(ctx context.Context, entries []index.AuditEntry) error
}

const (
	// maxCopies is how many lines wait for the database, the oldest of which give way.
	maxCopies = 20_000
	// copyAtOnce is how many lines are kept at once, and copyAgain how long after it failed it
	// is tried again.
	copyAtOnce = 500
	copyAgain  = 5 * time.Second
	// leaveCopies is how long Close tries to keep what waits.
	leaveCopies = 5 * time.Second
)

// Copier keeps a copy of a log's lines in a database, so that they can be asked for. It
// goes on beside the actions: none waits for it or fails with it. Where the database is away for
// long, or the process dies, the log itself has the lines that the copy lacks.
type Copier struct {
	to   Recorder
	log  *zap.Logger
	more chan struct{}
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	waiting []index.AuditEntry
	lost    int
}

// NewCopier returns a Copier, which the caller closes.
func NewCopier(to Recorder, log *zap.Logger) *Copier {
	if log == nil {
		log = zap.NewNop()
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Copier{to: to, log: log, more: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	go c.run(ctx)
	return c
}

// add takes a line; a nil Copier takes none.
func (c *Copier) add(e Entry) {
	if c == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		return // the log has said so
	}
	c.mu.Lock()
	c.waiting = append(c.waiting, index.AuditEntry{
		Time: e.Time, Action: e.Action, Result: e.Result, Actor: e.Actor, Through: e.Through, Tenant: e.Tenant, Batch: e.Batch, Reason: e.Reason, Line: line,
	})
	if n := len(c.waiting) - maxCopies; n > 0 {
		c.waiting, c.lost = c.waiting[n:], c.lost+n
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// run keeps what waits until ctx ends.
func (c *Copier) run(ctx context.Context) {
	defer close(c.done)
	said := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.more:
		}
		for ctx.Err() == nil {
			err := c.flush(ctx)
			if err == nil {
				said = false
				break
			}
			if !said && ctx.Err() == nil {
				said = true
				c.log.Warn("lines of the audit log wait for the index; the log itself has them", zap.Error(err))
			}
			timer := time.NewTimer(copyAgain)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// flush keeps all that waits.
func (c *Copier) flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		some, lost := c.waiting[:min(len(c.waiting), copyAtOnce)], c.lost
		c.lost = 0
		c.mu.Unlock()
		if lost > 0 {
			c.log.Warn("lines of the audit log are not in the index; the log itself has them", zap.Int("lines", lost))
		}
		if len(some) == 0 {
			return nil
		}
		if err := c.to.Record(ctx, some); err != nil {
			return err
		}
		c.mu.Lock()
		// Those that gave way meanwhile were the oldest.
		if n := len(some) - c.lost; n > 0 {
			c.waiting = c.waiting[n:]
		}
		c.mu.Unlock()
	}
}

// Close tries for a few seconds to keep what waits.
func (c *Copier) Close() {
	if c == nil {
		return
	}
	c.stop()
	<-c.done
	ctx, cancel := context.WithTimeout(context.Background(), leaveCopies)
	defer cancel()
	if err := c.flush(ctx); err != nil {
		c.log.Warn("the last lines of the audit log are not in the index; the log itself has them", zap.Error(err))
	}
}
