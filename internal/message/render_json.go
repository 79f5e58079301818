package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var errNoObject = errors.New("the content is not a JSON object")

// object is a JSON object that keeps the order and the bytes of its keys.
type object []field

type field struct {
	// key is the name, and quoted how the caller wrote it.
	key    string
	quoted []byte
	value  json.RawMessage
}

// overlay lays the keys of one object over those of another. A key stays where
// it first stood; its last value counts. An empty object may be no JSON at all.
func overlay(under, over json.RawMessage) (object, error) {
	var out object
	at := map[string]int{}
	for _, raw := range []json.RawMessage{under, over} {
		if len(raw) == 0 {
			continue
		}
		if !json.Valid(raw) {
			return nil, errNoObject
		}
		fields, ok := fieldsOf(raw)
		if !ok {
			return nil, errNoObject
		}
		for _, f := range fields {
			if i, ok := at[f.key]; ok {
				out[i].value = f.value
				continue
			}
			at[f.key] = len(out)
			out = append(out, f)
		}
	}
	return out, nil
}

func (o object) encode() json.RawMessage {
	size := 2
	for _, f := range o {
		size += len(f.quoted) + len(f.value) + 2
	}
	b := append(make([]byte, 0, size), '{')
	for i, f := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, f.quoted...), ':'), f.value...)
	}
	return append(b, '}')
}

// textAt is the string that stands at a path of keys; empty when none does.
func textAt(raw []byte, path []string) string {
	for _, key := range path {
		fields, ok := fieldsOf(raw)
		if !ok {
			return ""
		}
		raw = nil
		for _, f := range fields {
			if f.key == key {
				raw = f.value
			}
		}
		if raw == nil {
			return ""
		}
	}
	if raw[0] != '"' {
		return ""
	}
	return unquote(raw)
}

// fieldsOf takes a valid JSON object apart; it is false for any other value.
func fieldsOf(raw []byte) (object, bool) {
	i := skipSpace(raw, 0)
	if raw[i] != '{' {
		return nil, false
	}
	var o object
	for i = skipSpace(raw, i+1); raw[i] != '}'; {
		end := EndOfString(raw, i)
		quoted := raw[i:end]
		i = skipSpace(raw, skipSpace(raw, end)+1) // past the colon
		end = EndOfValue(raw, i)
		o = append(o, field{key: unquote(quoted), quoted: quoted, value: raw[i:end:end]})
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return o, true
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// EndOfString returns the index behind the string that begins at i in valid JSON.
func EndOfString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// EndOfValue returns the index behind the value that begins at i in valid JSON.
func EndOfValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return EndOfString(b, i)
	case '{', '[':
		for open := 0; ; i++ {
			switch b[i] {
			case '"':
				i = EndOfString(b, i) - 1
			case '{', '[':
				open++
			case '}', ']':
				if open--; open == 0 {
					return i + 1
				}
			}
		}
	default:
		for i < len(b) && bytes.IndexByte([]byte(" \n\t\r,]}"), b[i]) < 0 {
			i++
		}
		return i
	}
}

// unquote reads a JSON string.
func unquote(raw []byte) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
