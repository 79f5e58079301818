package dialect

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"volley/internal/message"
)

// maxNoted is how many different parameters are watched for whether a text uses
// them.
const maxNoted = 100

// textNotes is what was seen of parameters and texts while messages were read. The
// zero value has seen nothing.
type textNotes struct {
	params []paramNote
	// odd is a part of a message's own text that looks like a placeholder and is none.
	// oddAt is the index of the first message that has one; odds counts them.
	odd   string
	oddAt int
	odds  int
	skips skipNotes
	// repeated is how many bytes of the batch's metadata messages repeat beyond what
	// costs nothing.
	repeated int
}

// paramNote is a parameter that messages bring.
type paramNote struct {
	name string
	used bool
}

// add notes the parameters of a message whose text needs some.
func (n *textNotes) add(p *params, needs []string) {
	for i := range p.pairs {
		n.param(i, p.pairs[i].name, needs)
	}
	for name := range p.named {
		n.param(0, name, needs)
	}
}

// param notes a parameter, most likely the one that was noted as number i.
func (n *textNotes) param(i int, name string, needs []string) {
	if i >= len(n.params) || n.params[i].name != name {
		i = slices.IndexFunc(n.params, func(p paramNote) bool { return p.name == name })
	}
	if i < 0 {
		if len(n.params) == maxNoted {
			return
		}
		i = len(n.params)
		n.params = append(n.params, paramNote{name: strings.Clone(name)})
	}
	p := &n.params[i]
	p.used = p.used || slices.Contains(needs, name)
}

// ownText notes a message's own text.
func (n *textNotes) ownText(index int, text string) {
	odd := oddPlaceholder(text)
	if odd == "" {
		return
	}
	if n.odds == 0 {
		n.odd, n.oddAt = strings.Clone(odd), index
	}
	n.odds++
}

// merge adds what was noted of the messages that follow, whose indexes count from
// first.
func (n *textNotes) merge(of *textNotes, first int) {
	for i, p := range of.params {
		if p.used {
			n.param(i, p.name, []string{p.name})
		} else {
			n.param(i, p.name, nil)
		}
	}
	if n.odds == 0 {
		n.odd, n.oddAt = of.odd, first+of.oddAt
	}
	n.odds += of.odds
	n.repeated += of.repeated
	n.skips.merge(of.skips)
}

// reset forgets everything.
func (n *textNotes) reset() { *n = textNotes{params: n.params[:0]} }

// allWarnings is what a caller should know once all messages have been read.
func (b *volleyBatch) allWarnings(n *textNotes) message.Problems {
	if b.isCSV {
		return b.warnings
	}
	return n.warnings(b.text)
}

// warnings says which parameters no text uses, and what looks like a placeholder.
// text is that of the batch.
func (n *textNotes) warnings(text string) (out message.Problems) {
	out = append(n.unusedIn("messages"), oddText(text, n.unused())...)
	if n.odds > 0 {
		also := ""
		if n.odds > 1 {
			also = fmt.Sprintf(" (%d messages have such a text)", n.odds)
		}
		out.Add(message.WholeBatch, child(volleyPath(n.oddAt), "text"), message.CodeParameter, "%s%s", oddDetail(n.odd), also)
	}
	return out
}

// unused are the parameters that no text uses, sorted.
func (n *textNotes) unused() (names []string) {
	for _, p := range n.params {
		if !p.used {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// unusedIn warns of them; path is where the messages are.
func (n *textNotes) unusedIn(path string) (out message.Problems) {
	unused := n.unused()
	noun := "parameters"
	switch len(unused) {
	case 0:
		return nil
	case 1:
		noun = "parameter"
	}
	out.Add(message.WholeBatch, path, message.CodeUnused, "no text uses the %s %s", noun, listed(unused))
	return out
}

// oddText warns of parts of the batch's text that look like placeholders. others are
// unused names, which may stand in the text in another program's syntax.
func oddText(text string, others []string) (out message.Problems) {
	odd := oddPlaceholder(text)
	text = message.Clip(text, maxSearched)
	for i := 0; odd == "" && i < len(others); i++ {
		odd = otherPlaceholder(text, others[i])
	}
	if odd != "" {
		out.Add(message.WholeBatch, "text", message.CodeParameter, "%s", oddDetail(odd))
	}
	return out
}

func oddDetail(odd string) string {
	return fmt.Sprintf("%q is sent as it stands, a placeholder is written ${name}", odd)
}

// maxSearched is how many bytes of a text are searched for names in another program's
// syntax.
const maxSearched = 64 << 10

// maxOdd is how many bytes of what looks like a placeholder are shown.
const maxOdd = 40

// oddPlaceholder returns the first ${ in a text that begins no placeholder, with
// what follows, or else the first {{name}}; empty is none.
func oddPlaceholder(text string) string {
	for rest := text; ; {
		start := strings.Index(rest, "${")
		if start < 0 {
			break
		}
		rest = rest[start:]
		end := strings.IndexAny(rest[2:], "${}")
		if end > 0 && rest[2+end] == '}' {
			rest = rest[2+end+1:]
			continue
		}
		if end = strings.IndexByte(rest, '}'); end < 0 {
			end = len(rest) - 1
		}
		return clipped(rest[:end+1])
	}
	start := strings.Index(text, "{{")
	if start < 0 {
		return ""
	}
	end := strings.Index(text[start:], "}}")
	if end < 0 {
		return ""
	}
	return clipped(text[start : start+end+2])
}

// otherPlaceholder returns a name as it stands in a text with the marks of another
// program's placeholders around it: {name}, %name%, [name], <name>, $name, *|NAME|*.
func otherPlaceholder(text, name string) string {
	if name == "" {
		return ""
	}
	for at := 0; at+len(name) <= len(text); at++ {
		if at > 0 && strings.EqualFold(text[at:at+len(name)], name) {
			end := at + len(name)
			switch before := text[at-1]; {
			case before == '$' && !continues(text[end:]):
				return text[at-1 : end]
			case end < len(text) && closes[before] != 0 && text[end] == closes[before]:
				return text[at-1 : end+1]
			}
		}
	}
	return ""
}

// closes is, for the mark before a name, the one behind it.
var closes = [256]byte{'{': '}', '%': '%', '[': ']', '<': '>', '|': '|', '(': ')', '#': '#'}

// continues reports whether a text goes on with a letter or a digit.
func continues(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func clipped(s string) string {
	if len(s) <= maxOdd {
		return s
	}
	cut := maxOdd
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
