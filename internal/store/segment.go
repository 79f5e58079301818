package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"volley/internal/message"
)

// lineSize is about how many bytes a line takes in memory.
const lineSize = 80

// firstRead is how much of a segment's file is read for its lines: all of them
// nearly always.
const firstRead = 32 << 10

// Segment is a segment with its messages, not yet decoded. It is safe for
// concurrent use.
type Segment struct {
	key   string
	lines message.MessageMetas
	ends  []byte
	body  []byte
}

// Len is how many messages there are.
func (g *Segment) Len() int { return len(g.lines) }

// Message decodes the message at a position, from 0, and tells its index. Due and
// TTL are final. Of its problems the first is there, with an empty
// path and what a status shows as its detail. It fails for a position that is not
// there. The message is the caller's own.
func (g *Segment) Message(pos int) (index int, m message.Message, err error) {
	if pos < 0 || pos >= len(g.lines) {
		return 0, m, fmt.Errorf("%s: there is no message %d, it has %d", g.key, pos, len(g.lines))
	}
	line := &g.lines[pos]
	if err := json.Unmarshal(g.raw(pos), &m); err != nil {
		return 0, message.Message{}, damaged(g.key, fmt.Sprintf("message %d: %v", pos, err))
	}
	if line.Code != "" {
		m.Problems = message.Problems{{Index: line.Index, Code: line.Code, Detail: line.Detail}}
		return line.Index, m, nil
	}
	return line.Index, m, nil
}

// end is where the message at pos ends.
func (g *Segment) end(pos int) int { return int(binary.LittleEndian.Uint32(g.ends[4*pos:])) }

func (g *Segment) raw(pos int) []byte {
	from := 0
	if pos > 0 {
		from = g.end(pos - 1)
	}
	return g.body[from:g.end(pos)]
}

// size is about how many bytes it takes in memory.
func (g *Segment) size() int64 {
	return int64(len(g.body) + len(g.ends) + lineSize*len(g.lines))
}

// Segment reads a segment with all its messages; number counts from 1. The error
// wraps ErrNotFound when the manifest or the segment is not there.
func (s *Store) Segment(ctx context.Context, dir string, number int) (*Segment, error) {
	m, err := s.Manifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	key := segmentKey(dir, number)
	if number < 1 || number > len(m.Segments) {
		return nil, fmt.Errorf("%s: %w: the batch has %d segments", key, ErrNotFound, len(m.Segments))
	}
	return cached(ctx, s.cache, key, func(ctx context.Context) (*Segment, int64, error) {
		data, _, err := s.read(ctx, key, 0, -1)
		if err != nil {
			return nil, 0, s.missing(ctx, err)
		}
		g, err := parseSegment(key, data, number)
		if err != nil {
			return nil, 0, err
		}
		if g.Len() != m.Segments[number-1].Count {
			return nil, 0, damaged(key, fmt.Sprintf("it has %d messages, expected %d", g.Len(), m.Segments[number-1].Count))
		}
		return g, g.size(), nil
	})
}

// Lines reads what a workflow needs to know of the messages of a segment, without
// the messages. They are the caller's own.
func (s *Store) Lines(ctx context.Context, dir string, number int) (message.MessageMetas, error) {
	if _, err := folderOf(dir); err != nil {
		return nil, err
	}
	key := segmentKey(dir, number)
	if g, ok := s.cache.get(key).(*Segment); ok {
		return slices.Clone(g.lines), nil
	}
	data, size, err := s.read(ctx, key, 0, firstRead)
	if err != nil {
		return nil, s.missing(ctx, err)
	}
	h, err := parseHead(key, data, size)
	if err != nil {
		return nil, err
	}
	if missing := headSize + h.lines - len(data); missing > 0 {
		more, _, err := s.read(ctx, key, int64(len(data)), int64(missing))
		if err != nil {
			return nil, err
		}
		if data = append(data, more...); len(more) != missing {
			return nil, damaged(key, "its lines are cut")
		}
	}
	return parseLines(key, h, data, number)
}
