package provider

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// object is a JSON object of which a sender changes a few keys and passes every
// other on, number for number.
type object map[string]json.RawMessage

// contentOf reads a message's content for a change; an error is that of a
// content that is no object.
func contentOf(m message.Outgoing) (object, *Error) {
	var o object
	if err := json.Unmarshal(m.Content, &o); err != nil || o == nil {
		return nil, &Error{Kind: Invalid, Code: CodeContent, Detail: "the content is not a JSON object"}
	}
	return o, nil
}

// has reports whether a key is there and not null.
func (o object) has(key string) bool {
	v := bytes.TrimSpace(o[key])
	return len(v) > 0 && !bytes.Equal(v, []byte("null"))
}

func (o object) set(key string, value any) { o[key] = encode(value) }

// text returns the string at a key; "" when there is none.
func (o object) text(key string) string {
	var s string
	_ = json.Unmarshal(o[key], &s) // anything but a string is no text
	return s
}

// sub returns the object at a key; false when something else stands there.
func (o object) sub(key string) (object, bool) {
	if !o.has(key) {
		return object{}, true
	}
	var v object
	return v, json.Unmarshal(o[key], &v) == nil
}

func (o object) bytes() []byte { return encode(o) }

// encode writes texts, numbers and decoded JSON, which always encode.
func encode(v any) json.RawMessage {
	raw, err := message.EncodeJSON(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// join appends escaped path segments to a base URL.
func join(base string, segments ...string) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(base, "/"))
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// characters counts a text as a provider's limit does.
func characters(b []byte) int { return utf8.RuneCount(b) }
