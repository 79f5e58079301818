package store

import (
	"container/list"
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// loadTimeout bounds a load that several callers wait for, so that one that hangs
// does not stop the next from trying.
const loadTimeout = 2 * time.Minute

// idle is how long something is kept that nobody asks for: a segment is read for
// the seconds in which it is sent, and never again.
const idle = 3 * time.Second

// cache keeps what was read last, up to a number of bytes.
type cache struct {
	limit   int64
	now     func() time.Time
	flights singleflight.Group

	mu    sync.Mutex
	used  int64
	order *list.List // of *entry, the one used last in front
	at    map[string]*list.Element
	// dropped counts drops, so that what was being loaded meanwhile is not kept.
	dropped int
}

type entry struct {
	key   string
	value any
	size  int64
	used  time.Time
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, now: time.Now, order: list.New(), at: map[string]*list.Element{}}
}

// loader reads something and tells about how many bytes it takes in memory.
type loader[T any] func(ctx context.Context) (value T, size int64, err error)

// cached is what is kept under key, or else what load reads. Callers that want the
// same at the same time share one load, which goes on when one of them gives up.
func cached[T any](ctx context.Context, c *cache, key string, load loader[T]) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if v, ok := c.get(key).(T); ok {
		return v, nil
	}
	return flight(ctx, c, key, func(ctx context.Context) (T, error) {
		if v, ok := c.get(key).(T); ok {
			return v, nil
		}
		before := c.drops()
		v, size, err := load(ctx)
		if err != nil {
			return none, err
		}
		c.put(key, v, size, before)
		return v, nil
	})
}

// flight is what load returns. Callers that want the same at the same time share one
// load, which goes on when one of them gives up.
func flight[T any](ctx context.Context, c *cache, key string, load func(ctx context.Context) (T, error)) (T, error) {
	var none T
	done := c.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return load(ctx)
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-done:
		v, _ := r.Val.(T)
		return v, r.Err
	}
}

// get returns nil when nothing is kept under key.
func (c *cache) get(key string) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.at[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(el)
	e := el.Value.(*entry)
	e.used = c.now()
	return e.value
}

func (c *cache) drops() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

func (c *cache) put(key string, value any, size int64, drops int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.limit || c.at[key] != nil || c.dropped != drops {
		return
	}
	now := c.now()
	c.at[key] = c.order.PushFront(&entry{key, value, size, now})
	c.used += size
	for last := c.order.Back(); c.used > c.limit || now.Sub(last.Value.(*entry).used) > idle; last = c.order.Back() {
		c.remove(last)
	}
}

// drop forgets everything under a prefix.
func (c *cache) drop(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped++
	for key, el := range c.at {
		if strings.HasPrefix(key, prefix) {
			c.remove(el)
		}
	}
}

func (c *cache) remove(el *list.Element) {
	e := c.order.Remove(el).(*entry)
	delete(c.at, e.key)
	c.used -= e.size
}
