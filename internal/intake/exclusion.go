package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"volley/internal/message"
	"volley/internal/phone"
)

// Exclusion is a list of recipients that get no message. Add fills it before the
// request is read.
type Exclusion struct {
	// Region is where the list's phone numbers without a country code are written, as
	// phone.Region returns it; empty is nowhere.
	Region string

	added  hashes // that are not in the list yet
	hashes hashList
	// met says of each hash whether a message was for it, with a bit.
	met []uint64
	sum hash.Hash
	// regional means that the list has a number that another region may read as another
	// number.
	regional bool
}

// ErrEmptyExclusion means that there is nothing at all in an exclusion list. One
// that has the names of columns and nothing below is a list of nobody.
var ErrEmptyExclusion = errors.New("there is no recipient in it, and no first row that names columns")

// Add reads a list: one recipient per line, or CSV whose first row names the columns,
// in any encoding and with any line ends that a request may have. The recipients are in
// the first of columns that the list has, else in the column named to; a list of one
// column needs no name. An error says what is wrong, and on which line.
func (e *Exclusion) Add(r io.Reader, columns ...string) error {
	if e.sum == nil {
		e.sum = sha256.New()
	}
	_, _ = fmt.Fprintf(e.sum, "%q", strings.Join(columns, "\x00")) // never fails
	l, err := newListReader(io.TeeReader(r, e.sum))
	if err != nil {
		return err
	}
	first, err := l.rows.Read()
	for err == nil && len(first) == 1 && strings.TrimSpace(first[0]) == "" {
		first, err = l.rows.Read()
	}
	switch {
	case errors.Is(err, io.EOF):
		return ErrEmptyExclusion
	case err != nil:
		return listError(err)
	}
	named, err := l.findColumn(first, columns)
	if err != nil {
		return err
	}
	if !named {
		if err := e.take(l, first); err != nil {
			return err
		}
	}
	for {
		row, err := l.rows.Read()
		if errors.Is(err, io.EOF) {
			return l.refusal()
		}
		if err != nil {
			return listError(err)
		}
		if err := e.take(l, row); err != nil {
			return err
		}
	}
}

// seal makes the list ready to be asked.
func (e *Exclusion) seal() {
	if e.added == nil {
		return
	}
	e.hashes = newHashList(e.added)
	e.added, e.met = nil, make([]uint64, (e.hashes.len()+63)/64)
}

// take adds the recipient of a row; an empty cell is none.
func (e *Exclusion) take(l *list, row []string) error {
	line, _ := l.rows.FieldPos(0)
	if l.at >= len(row) {
		return fmt.Errorf("line %d: it has %s, and the recipient is in column %d", line, message.Plural(len(row), "cell"), l.at+1)
	}
	cell := row[l.at]
	if l.escaped {
		cell = message.UnescapeCell(cell)
	}
	if !utf8.ValidString(cell) || strings.IndexByte(cell, 0) >= 0 {
		return fmt.Errorf("line %d: it is not in %s", line, l.encoding)
	}
	cell = strings.TrimFunc(cell, func(r rune) bool { return phone.IsMark(r) || phone.IsBlank(r) })
	if cell == "" {
		return nil
	}
	key, notNumber := phone.Key(cell, e.Region)
	if notNumber != nil && phone.IsWritten(cell) {
		l.refuse(line, notNumber)
		return nil
	}
	e.regional = e.regional || cell[0] != '+' && strings.IndexByte(cell, '@') < 0
	e.added.add(xxhash.Sum64String(key))
	return nil
}

// Sum tells lists with other content apart.
func (e *Exclusion) Sum() string { return hex.EncodeToString(e.sum.Sum(nil)) }

// has reports whether a recipient is in the list, and notes that it was met.
func (e *Exclusion) has(key string) bool {
	i, ok := e.hashes.find(xxhash.Sum64String(key))
	if ok {
		e.met[i/64] |= 1 << (i % 64)
	}
	return ok
}

// warnings says how many recipients of the list no message was for.
func (e *Exclusion) warnings() (out message.Problems) {
	met := 0
	for _, word := range e.met {
		met += bits.OnesCount64(word)
	}
	switch {
	case e.hashes.len() == 0:
		out.Add(message.WholeBatch, "exclude", message.CodeTooFew, "the exclusion list names no recipient")
	case met < e.hashes.len():
		out.Add(message.WholeBatch, "exclude", message.CodeUnused,
			"recipients of the exclusion list that no message is for: %d of %d", e.hashes.len()-met, e.hashes.len())
	}
	return out
}
