package large

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"volley/internal/message"
)

// maxSegments is of how many segments it is kept what they said.
const maxSegments = 20_000

// segmentStatusCache has what running segments said of themselves when they were last
// asked.
type segmentStatusCache struct {
	statuses *lru.Cache[string, segmentStatus] // by workflow id
	asking   singleflight.Group
}

func newSegmentStatusCache() *segmentStatusCache {
	statuses, _ := lru.New[string, segmentStatus](maxSegments) // fails below 1
	return &segmentStatusCache{statuses: statuses}
}

// segmentStatus is a segment's status as it was at a time. Without counts it was being
// loaded.
type segmentStatus struct {
	message.Status
	at time.Time
}

// refresh puts a question to a segment in the background, unless one is under way. The
// channel yields once it was answered or could not be.
func (c *segmentStatusCache) refresh(wid string, question func() (segmentStatus, bool)) <-chan singleflight.Result {
	return c.asking.DoChan(wid, func() (any, error) {
		st, ok := question()
		if last, _ := c.statuses.Peek(wid); ok && st.Rev >= last.Rev {
			c.statuses.Add(wid, st)
		}
		return nil, nil
	})
}
