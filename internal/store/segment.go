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
		data, err := s.readObject(ctx, key)
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
	if isSealed(data) {
		if data, size, err = s.unsealLines(ctx, key, data, size); err != nil {
			return nil, err
		}
	}
	h, err := parseHead(key, data, size)
	if err != nil {
		return nil, err
	}
	if data, err = s.upTo(ctx, key, data, int64(headSize+h.lines)); err != nil {
		return nil, err
	}
	return parseLines(key, h, data, number)
}

// upTo completes the beginning of an object to n bytes.
func (s *Store) upTo(ctx context.Context, key string, data []byte, n int64) ([]byte, error) {
	missing := n - int64(len(data))
	if missing <= 0 {
		return data, nil
	}
	more, _, err := s.read(ctx, key, int64(len(data)), missing)
	if err != nil {
		return nil, err
	}
	if int64(len(more)) != missing {
		return nil, damaged(key, "its lines are cut")
	}
	return append(data, more...), nil
}

// unsealLines opens the first block of a segment's file, the head and the lines, out of
// the beginning of the object. plainSize is the size of the file in clear.
func (s *Store) unsealLines(ctx context.Context, key string, data []byte, size int64) (plain []byte, plainSize int64, err error) {
	h, err := parseSealHead(key, data)
	if err == nil {
		err = s.openable(key, h)
	}
	if err != nil {
		return nil, 0, err
	}
	n, ok := blockLength(data[h.size():])
	from := int64(h.size() + blockSize)
	if !ok || n > size-from {
		return nil, 0, damaged(key, "its lines are cut")
	}
	if data, err = s.upTo(ctx, key, data, from+n); err != nil {
		return nil, 0, err
	}
	if plain, err = s.openBlock(key, data[from:from+n], 0, false); err != nil {
		return nil, 0, err
	}
	// The other block grew by as much as this one.
	rest := size - from - n - blockSize - (n - int64(len(plain)))
	lines, err := parseHead(key, plain, int64(len(plain))+rest)
	if err == nil && headSize+lines.lines != len(plain) {
		err = damaged(key, "its lines are cut")
	}
	return plain, int64(len(plain)) + rest, err
}
