package message

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// EncodeJSON writes a value as people write JSON: <, >, &, U+2028 and U+2029 stand
// for themselves, in texts and in raw JSON inside the value. Go's encoder escapes
// them, each as six characters, which a provider would count and show.
func EncodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // U+2028 and U+2029 it escapes all the same
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return PlainJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// MetadataTexts are the members of metadata with these names. A value that is no text stands as
// its JSON. It is nil where nothing is to be looked for, and where metadata is no object.
func MetadataTexts(metadata json.RawMessage, names []string) map[string]string {
	var values map[string]json.RawMessage
	if len(names) == 0 || json.Unmarshal(metadata, &values) != nil {
		return nil
	}
	found := map[string]string{}
	for _, name := range names {
		raw, ok := values[name]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			plain, _ := EncodeJSON(raw) // it has been read as JSON
			text = string(plain)
		}
		found[name] = text
	}
	return found
}

// PlainJSON takes Go's escapes of <, >, &, U+2028 and U+2029 out of valid JSON.
// Temporal's payloads and the store's objects have them in what a caller wrote
// without. They are the same JSON; any other escape stays. The result may be raw
// itself.
func PlainJSON(raw []byte) []byte {
	at := goEscape(raw, 0)
	if at < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	from := 0
	for ; at >= 0; at = goEscape(raw, from) {
		out = append(out, raw[from:at]...)
		out = append(out, goEscaped(raw[at:])...)
		from = at + escapeLength
	}
	return append(out, raw[from:]...)
}

// escapeLength is how many bytes \u003c has.
const escapeLength = 6

// goEscape is the index of the first of Go's escapes at or behind i, which must not
// be inside an escape; -1 where there is none.
func goEscape(raw []byte, i int) int {
	for {
		next := bytes.IndexByte(raw[i:], '\\')
		if next < 0 {
			return -1
		}
		if i += next; goEscaped(raw[i:]) != "" {
			return i
		}
		i += 2 // past what is escaped; of \u the digits hold no backslash
	}
}

// goEscaped is the character whose escape stands at the beginning; empty for any
// other. Go writes its digits in lower case.
func goEscaped(raw []byte) string {
	if len(raw) < escapeLength {
		return ""
	}
	switch string(raw[:escapeLength]) {
	case `\u003c`:
		return "<"
	case `\u003e`:
		return ">"
	case `\u0026`:
		return "&"
	case `\u2028`:
		return "\u2028"
	case `\u2029`:
		return "\u2029"
	}
	return ""
}

const hexDigits = "0123456789abcdef"

// AppendJSON appends a text as a JSON string, with escapes for quotation marks,
// backslashes and control characters, and with U+FFFD for every byte that is no
// UTF-8.
func AppendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = appendEscape(append(b, s[from:i]...), c)
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if c >= utf8.RuneSelf {
		return append(b, "\ufffd"...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
