package store

import "volley/internal/message"

// Segment is a segment with its messages, not yet decoded. It is safe for
// concurrent use.
type Segment struct{}

// Len is how many messages there are.
func (g *Segment) Len() int { return 0 }

// Message decodes the message at a position, from 0, and tells its index. Due and
// TTL are final, Twin is set, and of its problems the first is there with its code
// and its detail. It fails for a position that is not there.
func (g *Segment) Message(pos int) (index int, m message.Message, err error) {
	return 0, message.Message{}, errEmpty
}
