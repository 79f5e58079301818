package store

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.uber.org/zap"

	"volley/internal/message"
)

// spillBlock is the size of the pieces in which messages wait.
const spillBlock = 256 << 10

// spill holds messages that came out of order: the last ones in memory, the others
// in a temporary file, as runs that are sorted.
type spill struct {
	dir   string
	limit int

	blocks [][]byte
	spare  [][]byte // blocks to be used again
	refs   []ref
	used   int
	// due and index are those of the first of all in the order of the batch.
	due   int64
	index int
	any   bool

	file *os.File
	runs []span
	// veiled encrypts the file; at is what reads and writes it.
	veiled bool
	at     places
}

// places is a file, or one that is encrypted.
type places interface {
	io.ReaderAt
	io.WriterAt
}

// ref is where a message waits in memory.
type ref struct {
	due        int64
	index      uint32
	block      uint32
	from, size uint32
}

const refSize = 24

// span is a part of the file.
type span struct{ from, to int64 }

// add takes a message.
func (s *spill) add(r *row) error {
	if !s.any || r.before(s.due, s.index) {
		s.due, s.index, s.any = r.due, r.line.Index, true
	}
	most := rowHead + len(r.line.Code) + len(r.line.Detail) + len(r.json)
	if s.used > 0 && s.used+most+refSize > s.limit {
		if err := s.flush(); err != nil {
			return err
		}
	}
	last := len(s.blocks) - 1
	if last < 0 || len(s.blocks[last])+most > cap(s.blocks[last]) {
		s.blocks = append(s.blocks, s.block(most))
		last++
	}
	from := len(s.blocks[last])
	s.blocks[last] = appendRow(s.blocks[last], r)
	size := len(s.blocks[last]) - from
	s.refs = append(s.refs, ref{r.due, uint32(r.line.Index), uint32(last), uint32(from), uint32(size)})
	s.used += size + refSize
	return nil
}

// block is an empty block with room for n bytes.
func (s *spill) block(n int) []byte {
	size := min(spillBlock, s.limit)
	if last := len(s.spare) - 1; last >= 0 && n <= size {
		b := s.spare[last]
		s.spare = s.spare[:last]
		return b
	}
	return make([]byte, 0, max(n, size))
}

func (s *spill) sort() {
	slices.SortFunc(s.refs, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.index, b.index))
	})
}

func (s *spill) row(f ref) []byte { return s.blocks[f.block][f.from : f.from+f.size] }

// flush makes a run of what is in memory.
func (s *spill) flush() error {
	s.sort()
	i := 0
	err := s.run(func() ([]byte, error) {
		if i == len(s.refs) {
			return nil, io.EOF
		}
		i++
		return s.row(s.refs[i-1]), nil
	})
	for _, b := range s.blocks {
		if cap(b) == min(spillBlock, s.limit) {
			s.spare = append(s.spare, b[:0])
		}
	}
	clear(s.blocks)
	s.blocks, s.refs, s.used = s.blocks[:0], s.refs[:0], 0
	return err
}

// run writes rows that come in order to the end of the file, until io.EOF.
func (s *spill) run(next func() ([]byte, error)) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "volley-*.spill")
		if err != nil {
			return fmt.Errorf("messages are not in the order of their due times: %w", err)
		}
		s.file, s.at = f, f
		if s.veiled {
			if s.at, err = veil(f); err != nil {
				return err
			}
		}
		_ = os.Remove(f.Name()) // where that works, nothing stays behind however this ends
	}
	from, err := s.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(io.NewOffsetWriter(s.at, from), spillBlock)
	to := from
	var head [binary.MaxVarintLen64]byte
	for {
		b, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		n := binary.PutUvarint(head[:], uint64(len(b)))
		_, _ = out.Write(head[:n]) // an error stays until Flush
		_, _ = out.Write(b)
		to += int64(n + len(b))
	}
	s.runs = append(s.runs, span{from, to})
	return out.Flush()
}

// close gives everything back. It may be called more than once.
func (s *spill) close(log *zap.Logger) {
	s.blocks, s.spare, s.refs, s.runs = nil, nil, nil, nil
	if s.file == nil {
		return
	}
	_ = s.file.Close() // nobody needs what is in it
	if err := os.Remove(s.file.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("a temporary file cannot be removed", zap.String("file", s.file.Name()), zap.Error(err))
	}
	s.file, s.at = nil, nil
}

// rowHead is how many bytes the numbers of a row take at most.
const rowHead = 7 * binary.MaxVarintLen64

// appendRow writes a row so that parseRow reads it.
func appendRow(b []byte, r *row) []byte {
	l := &r.line
	b = binary.AppendVarint(b, r.due)
	for _, n := range []int64{int64(l.Index), l.Due, l.TTL, int64(l.Route)} {
		b = binary.AppendVarint(b, n)
	}
	for _, text := range []string{l.Code, l.Detail} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return append(b, r.json...)
}

var errSpill = errors.New("the temporary file is damaged")

// parseRow reads a row; its JSON is a part of b.
func parseRow(b []byte) (row, error) {
	var r row
	var numbers [5]int64
	for i := range numbers {
		v, n := binary.Varint(b)
		if n <= 0 {
			return r, errSpill
		}
		numbers[i], b = v, b[n:]
	}
	var texts [2]string
	for i := range texts {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)-n) {
			return r, errSpill
		}
		texts[i], b = string(b[n:n+int(v)]), b[n+int(v):]
	}
	r.due, r.json = numbers[0], b
	r.line = message.MessageMeta{
		Index: int(numbers[1]), Due: numbers[2], TTL: numbers[3], Route: int(numbers[4]), Code: texts[0], Detail: texts[1],
	}
	return r, nil
}
