package dialect

import (
	"bytes"
	"encoding/json"
	"strings"

	"volley/internal/message"
)

// The functions here walk JSON that openAny has checked and stripped of space, so
// they look for nothing but the ends of things.

// depth is the nesting of valid JSON; a value without objects or arrays is 0.
func depth(raw []byte) int {
	var now, most int
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = message.EndOfString(raw, i) - 1
		case '{', '[':
			now++
			most = max(most, now)
		case '}', ']':
			now--
		}
	}
	return most
}

// countItems counts the items of an array.
func countItems(array []byte) int {
	count := 0
	for i := 1; array[i] != ']'; i = nextElement(array, message.EndOfValue(array, i)) {
		count++
	}
	return count
}

// values counts the values in valid JSON, itself and those inside of it. An object or
// an array without any counts as one more.
func values(raw []byte) int {
	count := 1
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = message.EndOfString(raw, i) - 1
		case '{', '[', ',':
			count++
		}
	}
	return count
}

// nextElement goes from behind one element to the next one, or to the bracket
// that ends them.
func nextElement(b []byte, i int) int {
	if b[i] == ',' {
		i++
	}
	return i
}

// unquote reads a JSON string literal. U+0000 and halves of surrogate pairs become
// U+FFFD: messages with them are refused, and the rest of the text is only shown.
func unquote(raw []byte) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return strings.ReplaceAll(s, "\x00", "\ufffd")
}
