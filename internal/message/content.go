package message

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// Content identifies what a batch says to whom: two batches with equal Content have the
// same recipients and texts. The zero value belongs to a batch that says nothing.
type Content [sha256.Size]byte

// IsZero reports whether there is nothing to compare.
func (c Content) IsZero() bool { return c == Content{} }

// String is the whole value; it is empty for the zero value.
func (c Content) String() string {
	if c.IsZero() {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(c[:])
}

// Tag is its first 40 bits, which the search attribute holds to find batches that may
// be equal. The zero value has none.
func (c Content) Tag() string {
	if c.IsZero() {
		return ""
	}
	return hex.EncodeToString(c[:5])
}

// ContentSum makes the Content of a batch out of its messages, which may come in any
// order. A recipient is all of its addresses. Ids, references, metadata, times, channels and accounts do not count, nor do
// rejected messages, the order of keys, and blanks and kinds of line ends in texts.
// Its memory does not grow with the number of messages, and without the key nobody can
// find out whether a guess at a batch is right.
type ContentSum struct {
	key, inner []byte
	scope      []string
	keys       []string
	// pieces are the text of messages that have none of their own, and plain says
	// that texts are all there is.
	pieces []piece
	plain  bool
	// templateSum is what the template says, in 32 bytes.
	templateSum []byte

	// hi and lo are the sum of the messages' hashes, modulo 2^128.
	hi, lo uint64
	count  uint64
	row    []byte // the message that is being added
	text   []byte // its text
}

// piece is some text and the parameter behind it; an empty name is none.
type piece struct{ text, name string }

// contentKeys lists, by dialect, the keys of a content that reach the recipient. In a
// dialect that is not listed all keys count.
func contentKeys(dialect string) []string {
	switch dialect {
	case "bird":
		return []string{"receiver", "body", "template"}
	case "sinch":
		return []string{"recipient", "message"}
	case "bluesky":
		return []string{"convoId", "message"}
	}
	return nil
}

// NewContentSum returns the sum of no messages, with the tenant, dialect and template
// of b. key is a secret of any length; only sums made with the same key compare.
func NewContentSum(key []byte, b *Batch) *ContentSum {
	c := &ContentSum{key: key, inner: keyed(key, "message")[:16], scope: []string{b.Tenant, b.Dialect}, keys: contentKeys(b.Dialect)}
	t := &b.Template
	c.plain = t.Syntax == SyntaxBraces && slices.Equal(t.Scope, []string{"text"})
	if text, ok := textOf(t.Body); ok && c.plain && strings.Count(text, "${") <= maxPieces {
		c.pieces = piecesOf(text)
	} else if len(t.Body) > 0 {
		c.plain = false
	}
	h := sha256.Sum256(c.appendJSON(nil, t.Body))
	c.templateSum = h[:]
	return c
}

// keyed is a hash of parts under a key.
func keyed(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	var b []byte
	for _, p := range parts {
		b = appendPart(b[:0], p)
		h.Write(b)
	}
	return h.Sum(nil)
}

// Add takes in the next message.
func (c *ContentSum) Add(m *Message) {
	if len(m.Problems) > 0 {
		return
	}
	c.row = appendPart(append(c.row[:0], c.inner...), m.recipient())
	if c.keys == nil { // elsewhere the body has the addresses
		c.row = appendAddresses(c.row, m.Addresses)
	}
	if c.fill(m) {
		c.row = appendText(append(c.row, 't'), c.text)
	} else {
		c.appendParts(m)
	}
	h := sha256.Sum256(c.row)
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, binary.BigEndian.Uint64(h[8:]), 0)
	c.hi, _ = bits.Add64(c.hi, binary.BigEndian.Uint64(h[:]), carry)
	c.count++
}

// Sum is the Content of the messages that were added.
func (c *ContentSum) Sum() Content {
	if c.count == 0 {
		return Content{}
	}
	var total [24]byte
	binary.BigEndian.PutUint64(total[:], c.count)
	binary.BigEndian.PutUint64(total[8:], c.hi)
	binary.BigEndian.PutUint64(total[16:], c.lo)
	return Content(keyed(c.key, append([]string{"batch", string(total[:])}, c.scope...)...))
}

// recipient is whom a message is for, in the one form in which recipients are compared.
func (m *Message) recipient() string { return strings.TrimSpace(m.Recipient()) }

// appendAddresses writes the addresses behind the first one, which is the recipient, in
// whatever order they stand. A recipient with one address has none.
func appendAddresses(b []byte, all []Address) []byte {
	if len(all) < 2 {
		return b
	}
	more := slices.SortedFunc(slices.Values(all[1:]), func(x, y Address) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Channel, y.Channel), cmp.Compare(x.Value, y.Value))
	})
	for _, a := range more {
		for _, part := range []string{string(a.Kind), a.Channel, strings.TrimSpace(a.Value)} {
			b = appendPart(append(b, 'a'), part)
		}
	}
	return b
}

// maxFilled is the longest text that is hashed with its placeholders filled in. A
// longer one is hashed by its parts, so that the time depends on the size of the
// request and not on what it expands to.
const maxFilled = 16 << 10

// maxPieces is the most placeholders of a template that are filled in for it.
const maxPieces = 4096

// fill writes the message's text to c.text. It is false for a message that is not text
// alone, for one that is too long, and for one that lacks a parameter.
func (c *ContentSum) fill(m *Message) bool {
	if !c.plain {
		return false
	}
	pieces := c.pieces
	if len(m.Body) > 0 {
		text, ok := textOf(m.Body)
		if !ok {
			return false
		}
		if strings.Contains(text, "${") {
			pieces = piecesOf(text)
		} else {
			c.text = append(c.text[:0], text...)
			return len(c.text) <= maxFilled
		}
	}
	c.text = c.text[:0]
	for _, p := range pieces {
		c.text = append(c.text, p.text...)
		if p.name != "" {
			v, ok := m.Params[p.name]
			if !ok {
				return false
			}
			c.text = append(c.text, v...)
		}
		if len(c.text) > maxFilled {
			return false
		}
	}
	return true
}

// appendParts writes what a message says as the template, its own part and the
// parameters.
func (c *ContentSum) appendParts(m *Message) {
	c.row = append(append(c.row, 'p'), c.templateSum...)
	c.row = c.appendJSON(c.row, m.plainBody())
	for _, name := range slices.Sorted(maps.Keys(m.Params)) {
		c.row = appendPart(appendPart(c.row, name), m.Params[name])
	}
}

// appendJSON writes the words of a JSON object in one form for all who say the same.
func (c *ContentSum) appendJSON(b []byte, raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return append(b, '-')
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return appendPart(append(b, '?'), string(raw))
	}
	if o, ok := v.(map[string]any); ok && c.keys != nil {
		maps.DeleteFunc(o, func(key string, _ any) bool { return !slices.Contains(c.keys, key) })
	}
	return appendValue(b, v)
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		said := appendText(nil, []byte(v))
		return appendPart(append(b, 's'), string(said))
	case json.Number:
		return appendPart(append(b, 'n'), v.String())
	case bool:
		if v {
			return append(b, '1')
		}
		return append(b, '0')
	case []any:
		b = binary.AppendUvarint(append(b, 'a'), uint64(len(v)))
		for _, item := range v {
			b = appendValue(b, item)
		}
		return b
	case map[string]any:
		b = binary.AppendUvarint(append(b, 'o'), uint64(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendPart(b, key), v[key])
		}
		return b
	}
	return append(b, '0', '-') // null
}

// appendPart writes a text with its length before it.
func appendPart(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendText writes a text without the blanks around it, and with one kind of line end.
func appendText(b, text []byte) []byte {
	text = bytes.TrimSpace(text)
	for {
		i := bytes.IndexByte(text, '\r')
		if i < 0 {
			return append(b, text...)
		}
		b = append(append(b, text[:i]...), '\n')
		text = bytes.TrimPrefix(text[i+1:], []byte("\n"))
	}
}

// textOf is the text of a body that is {"text":"…"} and nothing else.
func textOf(body json.RawMessage) (string, bool) {
	text, begins := bytes.CutPrefix(body, []byte(`{"text":"`))
	text, ends := bytes.CutSuffix(text, []byte(`"}`))
	if begins && ends && !bytes.ContainsAny(text, `"\`) {
		return string(text), true
	}
	if len(body) == 0 || !json.Valid(body) {
		return "", false
	}
	fields, ok := fieldsOf(body)
	if !ok || len(fields) != 1 || fields[0].key != "text" || fields[0].value[0] != '"' {
		return "", false
	}
	return unquote(fields[0].value), true
}

// piecesOf takes a text apart at its placeholders.
func piecesOf(text string) []piece {
	var pieces []piece
	for {
		before, name, rest, found := cutPlaceholder(text)
		pieces = append(pieces, piece{before, name})
		if !found {
			return pieces
		}
		text = rest
	}
}
