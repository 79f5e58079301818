package starter

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// repeatTime is how long the same content is taken for a repetition of a start whose
	// caller was not told what became of it.
	repeatTime = 10 * time.Minute
	// maxRepeats is how many of them are kept, the last ones.
	maxRepeats = 10_000
)

// repeats are batches whose callers were not told what became of them, by content.
type repeats struct {
	now func() time.Time
	all *lru.Cache[string, repeat]
}

type repeat struct {
	id    string
	until time.Time
}

func newRepeats(now func() time.Time) *repeats {
	all, _ := lru.New[string, repeat](maxRepeats) // fails below 1
	return &repeats{now: now, all: all}
}

// of is the batch that a request with this content repeats; empty is none.
func (r *repeats) of(content string) string {
	if found, _ := r.all.Get(content); r.now().Before(found.until) {
		return found.id
	}
	return ""
}

func (r *repeats) keep(content, id string) {
	r.all.Add(content, repeat{id, r.now().Add(repeatTime)})
}
