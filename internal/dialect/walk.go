package dialect

import (
	"bytes"
	"encoding/json"
)

// The functions here walk JSON that openAny has checked and stripped of space, so
// they look for nothing but the ends of things.

// depth is the nesting of valid JSON; a value without objects or arrays is 0.
func depth(raw []byte) int {
	var now, most int
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = endOfString(raw, i) - 1
		case '{', '[':
			now++
			most = max(most, now)
		case '}', ']':
			now--
		}
	}
	return most
}

// items counts the items of an array.
func items(array []byte) int {
	count := 0
	for i := 1; array[i] != ']'; i = nextElement(array, endOfValue(array, i)) {
		count++
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

// endOfString returns the index behind the string that begins at i.
func endOfString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// endOfValue returns the index behind the value that begins at i.
func endOfValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return endOfString(b, i)
	case '{', '[':
		for open := 0; ; i++ {
			switch b[i] {
			case '"':
				i = endOfString(b, i) - 1
			case '{', '[':
				open++
			case '}', ']':
				if open--; open == 0 {
					return i + 1
				}
			}
		}
	default:
		for i < len(b) && b[i] != ',' && b[i] != ']' && b[i] != '}' {
			i++
		}
		return i
	}
}

// unquote reads a JSON string literal.
func unquote(raw []byte) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
