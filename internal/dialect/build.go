package dialect

import (
	"bytes"
	"encoding/json"
)

// builder writes a JSON object key by key, in the order of the calls. The zero
// value is ready to use.
type builder struct{ out []byte }

// add appends a key and its value, which must be valid JSON.
func (b *builder) add(key string, value []byte) {
	if b.out != nil {
		b.out = append(b.out, ',')
	}
	b.out = append(append(append(b.out, quote(key)...), ':'), value...)
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

// quote writes a JSON string and leaves <, > and & as they are.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return []byte(`""`) // a string always encodes
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// encoded writes a value of our own, which always encodes, and leaves <, > and & as
// they are.
func encoded(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it always encodes
	return bytes.TrimRight(b.Bytes(), "\n")
}
