package indexer

import (
	"context"
	"time"
)

const (
	// restFactor is how many times as long as it worked it rests while messages leave.
	restFactor = 24
	// restAtMost bounds a rest, and restStep is how often is looked whether messages still
	// leave.
	restAtMost = 30 * time.Second
	restStep   = 100 * time.Millisecond
	// sideBySide is how many batches are taken in at once where nothing leaves.
	sideBySide = 8
	// readAhead is how many segments are read at once then.
	readAhead = 4
)

// pace leaves the machine to messages.
type pace struct {
	sending func() bool
	now     func() time.Time
}

// rest rests after work that has begun at a time, as long as messages leave.
func (p pace) rest(ctx context.Context, began time.Time) {
	left := min(restFactor*p.now().Sub(began), restAtMost)
	for left > 0 && p.sending() && pause(ctx, min(left, restStep)) {
		left -= restStep
	}
}

// atOnce is how many batches may be taken in at once.
func (p pace) atOnce() int {
	if p.sending() {
		return 1
	}
	return sideBySide
}

// ahead is how many segments may be read at once.
func (p pace) ahead() int {
	if p.sending() {
		return 1
	}
	return readAhead
}
