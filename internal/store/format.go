package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"

	"volley/internal/message"
)

// A segment's file is a head of fixed size, the lines as JSON, the end of each
// message as a number, and the messages as JSON one after another. Numbers are
// little-endian, of four bytes. The head:
//
//	 0 magic, its last byte is the version
//	 8 how many messages there are
//	12 how many bytes the lines take
//	16 how many bytes the messages take
//	20 checksum of the ends and the messages
//	24 checksum of the head so far and the lines
//
// The lines can be read and checked without the rest.
const (
	segmentMagic = "VOLSEGM\x01"
	headSize     = 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentHead is the head of a segment's file.
type segmentHead struct {
	count, lines, bytes int
	bodySum, headSum    uint32
}

// size is that of the whole file.
func (h segmentHead) size() int64 {
	return headSize + int64(h.lines) + 4*int64(h.count) + int64(h.bytes)
}

// packSegment appends the file of a segment to dst, in which its messages begin at rest.
func packSegment(dst []byte, number int, lines message.MessageMetas, ends []uint32, body []byte) (data []byte, rest int, err error) {
	packed, err := json.Marshal(lines)
	if err != nil {
		return nil, 0, err
	}
	from := len(dst)
	dst = slices.Grow(dst, headSize+len(packed)+4*len(ends)+len(body))
	dst = append(dst, segmentMagic...)
	for _, n := range []int{len(ends), len(packed), len(body), 0, 0} {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	}
	dst = append(dst, packed...)
	rest = len(dst)
	for _, end := range ends {
		dst = binary.LittleEndian.AppendUint32(dst, end)
	}
	dst = append(dst, body...)
	head := dst[from:rest]
	binary.LittleEndian.PutUint32(head[20:], crc32.Checksum(dst[rest:], castagnoli))
	binary.LittleEndian.PutUint32(head[24:], headSum(head, number))
	return dst, rest, nil
}

// headSum is the checksum of a segment's number, of the head and of the lines, so that a
// segment that lies in the place of another is damaged.
func headSum(head []byte, number int) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint32(nil, uint32(number)), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, head[:24]), castagnoli, head[headSize:])
}

// parseHead reads the head of a file of size bytes.
func parseHead(key string, data []byte, size int64) (segmentHead, error) {
	var h segmentHead
	if len(data) < headSize || string(data[:7]) != segmentMagic[:7] {
		return h, damaged(key, "it does not begin like a segment")
	}
	if data[7] != segmentMagic[7] {
		return h, fmt.Errorf("%s: the format has version %d, expected %d", key, data[7], segmentMagic[7])
	}
	n := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	h = segmentHead{count: int(n(8)), lines: int(n(12)), bytes: int(n(16)), bodySum: n(20), headSum: n(24)}
	if h.size() != size {
		return h, damaged(key, fmt.Sprintf("it has %d bytes, expected %d", size, h.size()))
	}
	return h, nil
}

// parseLines reads the lines of a segment from the beginning of its file.
func parseLines(key string, h segmentHead, data []byte, number int) (message.MessageMetas, error) {
	head := data[:headSize+h.lines]
	if headSum(head, number) != h.headSum {
		return nil, damaged(key, "the checksum of its lines is wrong")
	}
	var lines message.MessageMetas
	if err := json.Unmarshal(head[headSize:], &lines); err != nil {
		return nil, damaged(key, err.Error())
	}
	if len(lines) != h.count {
		return nil, damaged(key, fmt.Sprintf("it has %d lines for %d messages", len(lines), h.count))
	}
	return lines, nil
}

// parseSegment reads the whole file of a segment. The result keeps data.
func parseSegment(key string, data []byte, number int) (*Segment, error) {
	h, err := parseHead(key, data, int64(len(data)))
	if err != nil {
		return nil, err
	}
	lines, err := parseLines(key, h, data, number)
	if err != nil {
		return nil, err
	}
	rest := data[headSize+h.lines:]
	if crc32.Checksum(rest, castagnoli) != h.bodySum {
		return nil, damaged(key, "the checksum of its messages is wrong")
	}
	g := &Segment{key: key, lines: lines, ends: rest[:4*h.count], body: rest[4*h.count:]}
	last := 0
	for pos := range h.count {
		end := g.end(pos)
		if end < last || end > h.bytes {
			return nil, damaged(key, fmt.Sprintf("message %d has no place", pos))
		}
		last = end
	}
	return g, nil
}
