package dialect

import (
	"encoding/json"

	"volley/internal/message"
)

// builder writes a JSON object key by key, in the order of the calls. The zero
// value is ready to use.
type builder struct{ out []byte }

// add appends a key and its value, which must be valid JSON.
func (b *builder) add(key string, value []byte) {
	if b.out != nil {
		b.out = append(b.out, ',')
	}
	b.out = append(append(message.AppendJSON(b.out, key), ':'), value...)
}

// addAll appends the keys of an object, which must be valid JSON without space at its
// ends.
func (b *builder) addAll(object json.RawMessage) {
	inner := object[1 : len(object)-1]
	if len(inner) == 0 {
		return
	}
	if b.out != nil {
		b.out = append(b.out, ',')
	}
	b.out = append(b.out, inner...)
}

// object is what was added.
func (b *builder) object() json.RawMessage {
	return append(append([]byte{'{'}, b.out...), '}')
}

// addText appends a key and a text.
func (b *builder) addText(key, text string) { b.add(key, message.AppendJSON(nil, text)) }

// encoded writes a value of our own, which always encodes.
func encoded(v any) json.RawMessage {
	raw, _ := message.EncodeJSON(v) // it always encodes
	return raw
}
