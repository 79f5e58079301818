package dialect

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"volley/internal/message"
	"volley/internal/phone"
)

// fillTo reads the recipient. Spaces and invisible characters at its ends are taken
// off: they come with what is copied from elsewhere, and nobody means them.
func (b *volleyBatch) fillTo(m *message.Message, r *volleyRow) {
	if r.to.key != "" && !r.to.ok {
		return // its problem is known
	}
	if isClean(m.To) {
		return
	}
	m.To = strings.TrimFunc(m.To, func(c rune) bool { return c != reversed && (phone.IsMark(c) || phone.IsBlank(c)) })
	if m.To == "" && !slices.Contains(r.params.requested, "to") {
		why := "a message needs a recipient"
		if r.noTo != "" {
			why = r.noTo
		}
		r.add(r.place("to"), message.CodeRequired, "%s", why)
	}
	if i := strings.IndexFunc(m.To, func(c rune) bool { return unicode.IsControl(c) || c == reversed }); i >= 0 {
		c, _ := utf8.DecodeRuneInString(m.To[i:])
		r.add(r.place("to"), message.CodeRecipient, "has the invisible character %s", phone.NameOf(c))
	}
}

// reversed shows what follows from right to left, so that a person sees another
// recipient than stands there.
const reversed = '\u202e'

// isClean reports whether a recipient is plain text with nothing to take off, as
// almost all are.
func isClean(to string) bool {
	for i := range len(to) {
		if c := to[i]; c <= ' ' && (c != ' ' || i == 0 || i == len(to)-1) || c >= 0x7f {
			return false
		}
	}
	return to != ""
}
