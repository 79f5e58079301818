package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"volley/internal/message"
)

// encode writes v as one line of JSON, in which characters that would steer a terminal, or
// hide on it, are escapes.
func encode(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(visible(text.Bytes()))
	return err
}

// visible writes the control, direction and hidden characters in valid JSON as escapes,
// which are the same JSON.
func visible(raw []byte) []byte {
	escapes := func(r rune) bool { return r >= 0x7f && (unicode.IsControl(r) || hidden(r)) }
	if bytes.IndexFunc(raw, escapes) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+64)
	for _, r := range string(raw) {
		switch {
		case !escapes(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// print writes the one JSON document of a command.
func (a *app) print(v any) error { return encode(a.stdout, v) }

// printf writes to stdout what a person reads; every text in args is made printable.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, harmless(args)...) }

// harmless makes the texts in args printable.
func harmless(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			arg = printable(v)
		case error:
			arg = printable(v.Error())
		}
		out[i] = arg
	}
	return out
}

// colour is the number of an ANSI colour; 0 is none.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
	cyan   colour = 36
	faint  colour = 2
)

// painted is the text of a cell, in its colour where colours are wanted.
func painted(c cell, colours bool) string {
	if !colours || c.colour == 0 || c.text == "" {
		return c.text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c.colour, c.text)
}

// colours reports whether stdout is a terminal and NO_COLOR is not set.
func (a *app) colours() bool {
	if v, _ := a.env.LookupEnv("NO_COLOR"); v != "" {
		return false
	}
	return a.terminal(a.stdout)
}

// printable keeps what others wrote from steering the terminal: control characters and
// ends of lines become spaces, and what changes the direction of text, or cannot be
// seen and is in no word, shows its code.
func printable(s string) string {
	harmful := func(r rune) bool { return unicode.IsControl(r) || hidden(r) }
	if strings.IndexFunc(s, harmful) < 0 && utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			out.WriteByte(' ')
		case hidden(r):
			fmt.Fprintf(&out, "<U+%04X>", r)
		default:
			out.WriteRune(r) // a byte that is no UTF-8 is U+FFFD by now
		}
	}
	return out.String()
}

// hidden reports whether r is a format character that cannot be seen. Joiners are none
// of them: words of many scripts and emoji have them.
func hidden(r rune) bool {
	const nonJoiner, joiner = 0x200C, 0x200D
	switch {
	case r < 0x80:
		return false
	case r == nonJoiner, r == joiner, r >= 0xE0020 && r <= 0xE007F, // the last are of flags
		unicode.Is(unicode.Prepended_Concatenation_Mark, r): // seen, in numbers and the like
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// clipWidth cuts s to a number of columns.
func clipWidth(s string, columns int) string {
	if uniseg.StringWidth(s) <= columns {
		return s
	}
	var out strings.Builder
	left := columns - 1
	for g := uniseg.NewGraphemes(s); g.Next() && left >= g.Width(); left -= g.Width() {
		out.WriteString(g.Str())
	}
	return out.String() + "…"
}

func stateColour(s message.State) colour {
	switch s {
	case message.Sent, message.Delivered:
		return green
	case message.Failed, message.Undelivered, message.Rejected:
		return red
	case message.Expired, message.Canceled, message.Unknown, message.Retrying:
		return yellow
	case message.Sending:
		return cyan
	}
	return 0
}

// batchColour is red as soon as a message has failed, and green only where every one
// was sent.
func batchColour(st message.Status) colour {
	var worst colour
	if c := st.Counts; c != nil {
		switch {
		case c[message.Failed]+c[message.Undelivered] > 0:
			return red
		case c[message.Sent]+c[message.Delivered]+c.Open() < st.Total:
			worst = yellow
		}
	}
	switch st.State {
	case message.BatchFailed:
		return red
	case message.BatchCompleted:
		if worst == 0 {
			return green
		}
		return worst
	case message.BatchPaused, message.BatchCanceling, message.BatchCanceled:
		return yellow
	case message.BatchRunning:
		return cyan
	}
	return 0
}

// number writes 5,000, and plural "1 message" or "5,000 messages".
func number(n int) string { return message.Number(n) }

func plural(n int, noun string) string { return message.Plural(n, noun) }
