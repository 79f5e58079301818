package store

import (
	"volley/internal/message"
)

// row is one message on its way into a segment.
type row struct {
	// due is the time that counts for the order, which for equal ones is that of
	// the indexes.
	due  int64
	line message.MessageMeta
	json []byte
}

// before is the order of a batch.
func (r *row) before(due int64, index int) bool {
	return r.due < due || r.due == due && r.line.Index < index
}

// chunk is a segment in the making.
type chunk struct {
	lines message.MessageMetas
	dues  []int64
	ends  []uint32
	body  []byte
	info  message.Segment
}

// fits reports whether n bytes more are still the same segment.
func (c *chunk) fits(n int) bool {
	return len(c.ends) == 0 || len(c.ends) < message.SegmentMessages && len(c.body)+n <= message.SegmentBytes
}

func (c *chunk) add(r *row) {
	c.body = append(c.body, r.json...)
	c.ends = append(c.ends, uint32(len(c.body)))
	c.lines = append(c.lines, r.line)
	c.dues = append(c.dues, r.due)
	c.count(r)
}

// count adds a message to what is said of the segment. Times are those of messages
// that are not rejected, where there are any.
func (c *chunk) count(r *row) {
	due, sure := r.line.Due, c.info.Count-c.info.Rejected
	c.info.Count++
	if r.line.Code != "" {
		c.info.Rejected++
		c.info.Reasons.Count(message.Rejected, r.line.Code, "", 1)
		if sure > 0 {
			return
		}
		due = r.due
	}
	expires := due + r.line.TTL
	if sure == 0 {
		c.info.First, c.info.Last, c.info.Expires = due, due, expires
		if r.line.Code == "" {
			c.info.FirstExpires = expires
		}
		return
	}
	c.info.First, c.info.Last = min(c.info.First, due), max(c.info.Last, due)
	c.info.Expires, c.info.FirstExpires = max(c.info.Expires, expires), min(c.info.FirstExpires, expires)
}

// raw is the message at i.
func (c *chunk) raw(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.body[from:c.ends[i]]
}

// pack appends the segment's file, under its number, to dst, which is empty. The lines end
// at lines.
func (c *chunk) pack(dst []byte, number int) (data []byte, lines int, err error) {
	return packSegment(dst, number, c.lines, c.ends, c.body)
}

// reset makes it a new one, with the room of the old.
func (c *chunk) reset() {
	*c = chunk{lines: c.lines[:0], dues: c.dues[:0], ends: c.ends[:0], body: c.body[:0]}
}

// checkpoint is what is remembered of a segment that was written while messages still
// arrive: its first due time and its last message.
type checkpoint struct {
	first, last int64
	index       int
}

func (c *chunk) checkpoint() checkpoint {
	n := len(c.lines) - 1
	return checkpoint{c.dues[0], c.dues[n], c.lines[n].Index}
}
