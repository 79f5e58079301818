package starter

import (
	lru "github.com/hashicorp/golang-lru/v2"

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
	at          server.HistoryPosition
	large, open bool
	message.Overview
}

// statusCache has how batches stood when they were last asked.
type statusCache struct{ all *lru.Cache[Ref, cachedStatus] }

func newStatusCache() statusCache {
	all, _ := lru.New[Ref, cachedStatus](maxStatuses) // fails below 1
	return statusCache{all}
}

// add remembers how a batch stands, unless that takes much memory.
func (c statusCache) add(ref Ref, st cachedStatus) {
	n := len(st.Status.Metadata) + len(st.Large.Segments)
	if n <= maxStatus {
		c.all.Add(ref, st)
	}
}
