package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"volley/internal/message"
)

// encoder writes messages as JSON. What it writes decodes to the same as what
// json.Marshal writes, at a fraction of its time.
type encoder struct {
	buf  []byte
	keys []string
	raw  bytes.Buffer
}

// encode writes a message without its problems. The bytes are good until the next one.
func (e *encoder) encode(m *message.Message, due, ttl int64) ([]byte, error) {
	e.buf = append(e.buf[:0], `{"to":`...)
	e.text(m.To)
	if m.Phone != "" {
		e.buf = append(e.buf, `,"phone":`...)
		e.text(m.Phone)
	}
	for i, a := range m.Addresses {
		if i == 0 {
			e.buf = append(e.buf, `,"addresses":`...)
		}
		e.address(i, a)
	}
	if len(m.Addresses) > 0 {
		e.buf = append(e.buf, ']')
	}
	if m.Reference != "" {
		e.buf = append(e.buf, `,"reference":`...)
		e.text(m.Reference)
	}
	if len(m.Channels) > 0 {
		e.buf = append(e.buf, `,"channels":`...)
		for i, c := range m.Channels {
			e.buf = append(e.buf, opening(i, '['))
			e.text(c)
		}
		e.buf = append(e.buf, ']')
	}
	e.params(m.Params)
	if err := e.json(`,"body":`, m.Body); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if err := e.json(`,"metadata":`, m.Metadata); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	e.number(`,"due":`, due)
	e.number(`,"ttl":`, ttl)
	e.number(`,"route":`, int64(m.Route))
	e.buf = append(e.buf, '}')
	return e.buf, nil
}

// address writes the address at i.
func (e *encoder) address(i int, a message.Address) {
	e.buf = append(append(e.buf, opening(i, '[')), `{"v":`...)
	e.text(a.Value)
	if a.Kind != "" {
		e.buf = append(e.buf, `,"k":`...)
		e.text(string(a.Kind))
	}
	if a.Channel != "" {
		e.buf = append(e.buf, `,"c":`...)
		e.text(a.Channel)
	}
	e.buf = append(e.buf, '}')
}

// opening is what stands before the element at i of a list or an object.
func opening(i int, first byte) byte {
	if i == 0 {
		return first
	}
	return ','
}

func (e *encoder) number(name string, n int64) {
	if n != 0 {
		e.buf = strconv.AppendInt(append(e.buf, name...), n, 10)
	}
}

func (e *encoder) params(params map[string]string) {
	if len(params) == 0 {
		return
	}
	e.keys = e.keys[:0]
	for k := range params {
		e.keys = append(e.keys, k)
	}
	slices.Sort(e.keys)
	e.buf = append(e.buf, `,"params":`...)
	for i, k := range e.keys {
		e.buf = append(e.buf, opening(i, '{'))
		e.text(k)
		e.buf = append(e.buf, ':')
		e.text(params[k])
	}
	e.buf = append(e.buf, '}')
}

// json writes what is JSON already, as json.Marshal does: without blanks, and with
// escapes for what HTML takes amiss.
func (e *encoder) json(name string, raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	e.raw.Reset()
	if err := json.Compact(&e.raw, raw); err != nil {
		return err
	}
	e.buf = append(e.buf, name...)
	b := e.raw.Bytes()
	if special(b) {
		var escaped bytes.Buffer
		json.HTMLEscape(&escaped, b)
		b = escaped.Bytes()
	}
	e.buf = append(e.buf, b...)
	return nil
}

// special reports whether there may be something that json.HTMLEscape escapes.
func special(b []byte) bool {
	return bytes.IndexByte(b, '<') >= 0 || bytes.IndexByte(b, '>') >= 0 || bytes.IndexByte(b, '&') >= 0 ||
		bytes.Contains(b, []byte("\xe2\x80"))
}

// text writes a string, with U+FFFD for every byte that is no UTF-8.
func (e *encoder) text(s string) {
	e.buf = message.AppendJSON(e.buf, s)
}
