package large

import (
	"context"
	"iter"

	"volley/internal/message"
	"volley/internal/store"
)

// EndedMessage is a message and how it ended.
type EndedMessage struct {
	message.Message
	State message.State
}

// Select yields the messages of which ok says so. One that the store has lost cannot be
// sent again, and is left out. An error is the last of them.
func (v *View) Select(ctx context.Context, ok func(*message.Row) bool) iter.Seq2[EndedMessage, error] {
	return func(yield func(EndedMessage, error) bool) {
		for p, err := range v.Iterate(ctx, message.Location{Segment: 1}, Filter{}) {
			if err != nil {
				yield(EndedMessage{}, err)
				return
			}
			if !ok(&p.Row) {
				continue
			}
			m, err := v.storedMessage(ctx, p.Location)
			if store.Lost(err) {
				continue
			}
			if !yield(EndedMessage{m, p.Row.State}, err) || err != nil {
				return
			}
		}
	}
}
