package message

import (
	"strconv"
	"strings"
)

// Number writes n as texts for people do: 5,000.
func Number(n int) string {
	s := strconv.Itoa(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural writes a number of things: 1 message, 5,000 messages, 2 batches. noun is one of them.
func Plural(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "ch"):
		noun += "es"
	default:
		noun += "s"
	}
	return Number(n) + " " + noun
}

// Verb is the verb behind a number of things: one for 1 of them, else many.
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
