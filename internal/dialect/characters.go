package dialect

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"

	"volley/internal/message"
)

// characters reports strings and keys with characters that JSON can write and a text
// cannot hold: U+0000, which providers and databases refuse or cut at, and half a
// surrogate pair, which JSON readers silently turn into U+FFFD. It skips the value's
// own field named but; "" skips none.
func (r *reader) characters(n node, but string) {
	if badCharacter(n.raw) == "" {
		return
	}
	switch n.raw[0] {
	case '"':
		r.add(n.path, message.CodeFormat, "has %s", badCharacter(n.raw))
	case '[':
		r.each(n, func(item node) { r.characters(item, "") })
	case '{':
		for i := 1; n.raw[i] != '}'; {
			end := message.EndOfString(n.raw, i)
			literal := n.raw[i:end]
			if bad := badCharacter(literal); bad != "" {
				r.add(n.path, message.CodeFormat, "has a key with %s", bad)
			}
			key := unquote(literal)
			i = end + 1 // past the colon
			end = message.EndOfValue(n.raw, i)
			if but == "" || key != but {
				r.characters(node{path: child(n.path, key), raw: n.raw[i:end:end]}, "")
			}
			i = nextElement(n.raw, end)
		}
	}
}

// badCharacter names the first character in valid JSON that no text can hold; usually
// there is none.
func badCharacter(raw []byte) string {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return ""
		}
		if raw = raw[i:]; raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		const escape = len(`\u0000`)
		unit := codeUnit(raw)
		raw = raw[escape:]
		switch {
		case unit == 0:
			return "the character U+0000"
		case !utf16.IsSurrogate(unit):
		case bytes.HasPrefix(raw, []byte(`\u`)) && utf16.DecodeRune(unit, codeUnit(raw)) != '\ufffd':
			raw = raw[escape:]
		default:
			return fmt.Sprintf(`half a surrogate pair, \u%04x, which is no character`, unit)
		}
	}
}

// codeUnit reads the escape that raw begins with.
func codeUnit(raw []byte) rune {
	v, _ := strconv.ParseUint(string(raw[2:6]), 16, 16) // valid JSON has four digits
	return rune(v)
}
