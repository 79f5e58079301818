package dialect

import (
	"encoding/json"
	"unicode/utf8"
)

// maxPairs is how many parameters of a message are searched one by one.
const maxPairs = 16

// params are the parameters of one message, from one of three places.
type params struct {
	// pairs are at most maxPairs of a plain line.
	pairs []pair
	// named are those of any other JSON.
	named map[string]string
	// cells are a row of CSV, and columns tells which of them is which.
	cells   []string
	columns map[string]int
	// lacking says of parameters why no row has them.
	lacking map[string]string
	// requested lists the fields and parameters that the problems of the file's columns
	// already cover.
	requested []string
}

type pair struct{ name, value string }

// count is at least how many parameters the message has.
func (p *params) count() int { return len(p.pairs) + len(p.cells) + len(p.named) }

func (p *params) get(name string) (string, bool) {
	for i := range p.pairs {
		if p.pairs[i].name == name {
			return p.pairs[i].value, true
		}
	}
	if i, ok := p.columns[name]; ok && i < len(p.cells) {
		return p.cells[i], true
	}
	v, ok := p.named[name]
	return v, ok
}

// readPlain reads a line in one pass if it is an ordinary message: an object of
// fields that a message has, each once, whose values are strings, and an object of
// strings for params. It is false for any other line, right or wrong, of which it
// may have read a part.
func (r *volleyRow) readPlain(line []byte) bool {
	if !utf8.Valid(line) {
		return false
	}
	s := plain{text: string(line)}
	hasParams := false
	return s.object(func(key string) bool {
		var g *optionalField
		switch key {
		case "to":
			g = &r.to
		case "reference":
			g = &r.reference
		case "channel":
			g = &r.channel
		case "text":
			g = &r.text
		case "sendAfter":
			g = &r.sendAfter
		case "ttl":
			g = &r.ttl
		case "params":
			twice := hasParams
			hasParams = true
			return !twice && s.object(func(name string) bool { return r.addPair(&s, name) })
		default:
			return false
		}
		v, ok := s.string()
		if !ok || g.ok || v == "" && (g == &r.channel || g == &r.text) {
			return false
		}
		*g = optionalField{key: key, value: v, ok: true}
		return true
	}) && s.end()
}

func (r *volleyRow) addPair(s *plain, name string) bool {
	value, ok := s.string()
	if !ok || len(r.params.pairs) == maxPairs {
		return false
	}
	if _, twice := r.params.get(name); twice {
		return false
	}
	r.params.pairs = append(r.params.pairs, pair{name, value})
	return true
}

// plain reads JSON of objects and strings. Every method is false where the text
// is anything else.
type plain struct {
	text string
	i    int
}

// next skips space and returns the byte behind it without taking it; 0 at the end.
func (p *plain) next() byte {
	for ; p.i < len(p.text); p.i++ {
		switch c := p.text[p.i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (p *plain) take(c byte) bool {
	if p.next() != c {
		return false
	}
	p.i++
	return true
}

func (p *plain) end() bool { return p.next() == 0 && p.i == len(p.text) }

// object reads an object; value reads the value of each key.
func (p *plain) object(value func(key string) bool) bool {
	if !p.take('{') {
		return false
	}
	if p.take('}') {
		return true
	}
	for {
		key, ok := p.string()
		if !ok || !p.take(':') || !value(key) {
			return false
		}
		if !p.take(',') {
			return p.take('}')
		}
	}
}

func (p *plain) string() (string, bool) {
	if !p.take('"') {
		return "", false
	}
	escaped := false
	for i := p.i; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			begin := p.i
			p.i = i + 1
			if escaped {
				return unescape(p.text[begin-1 : p.i])
			}
			return p.text[begin:i], true
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// unescape reads a JSON string literal of characters that a text can hold.
func unescape(literal string) (s string, ok bool) {
	raw := []byte(literal)
	if json.Unmarshal(raw, &s) != nil || badCharacter(raw) != "" {
		return "", false
	}
	return s, true
}
