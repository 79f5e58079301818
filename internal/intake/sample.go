package intake

import (
	"slices"
	"strings"
	"unicode"

	"volley/internal/message"
)

// What a sample is chosen for.
const (
	WhyLongest    = "longest"
	WhyShortest   = "shortest"
	WhyParameters = "parameters"
	WhyFirst      = "first"
)

// MaxSamples is how many messages of a request are chosen at most.
const MaxSamples = 20

// Sample is a message that was chosen to be looked at.
type Sample struct {
	Index   int
	Message message.Message
	// Why is one of the Why constants.
	Why string
}

// Samples chooses the messages of a request that are worth a look before it starts: the
// one with the longest text, that with the shortest, those whose parameters are odd, and
// then the first ones. It holds a few messages, however many it is shown.
type Samples struct {
	n                 int
	longest, shortest *candidate
	odd               []candidate // the oddest first
	first             []candidate
}

type candidate struct {
	Sample
	parts, units, odd int
}

// NewSamples chooses n messages, at most MaxSamples.
func NewSamples(n int) *Samples { return &Samples{n: min(n, MaxSamples)} }

// Add takes in the message of b with an index, unless it is rejected or cannot be filled in.
func (s *Samples) Add(b *message.Batch, index int, m *message.Message) {
	if s.n <= 0 || len(m.Problems) > 0 {
		return
	}
	content, text, err := b.Template.Render(m)
	if err != nil {
		return
	}
	if text == "" {
		text = string(content) // of a template of the provider's, and the like
	}
	sms := message.CountSMS(text)
	c := candidate{Sample: Sample{Index: index, Message: *m}, parts: sms.Parts, units: sms.Units, odd: oddness(m, text)}
	if s.longest == nil || c.longer(s.longest) {
		longest := c
		s.longest = &longest
	}
	if s.shortest == nil || s.shortest.longer(&c) {
		shortest := c
		s.shortest = &shortest
	}
	if len(s.first) < s.n {
		s.first = append(s.first, c)
	}
	if c.odd == 0 || len(s.odd) == s.n && s.odd[s.n-1].odd >= c.odd {
		return
	}
	at, _ := slices.BinarySearchFunc(s.odd, c, func(a, b candidate) int {
		if a.odd >= b.odd { // those that came before stay before
			return -1
		}
		return 1
	})
	s.odd = slices.Insert(s.odd, at, c)
	s.odd = s.odd[:min(len(s.odd), s.n)]
}

func (c *candidate) longer(than *candidate) bool {
	if c.parts != than.parts {
		return c.parts > than.parts
	}
	return c.units > than.units
}

// List is what was chosen, each message once.
func (s *Samples) List() []Sample {
	var out []Sample
	add := func(c *candidate, why string) {
		if c == nil || len(out) == s.n || slices.ContainsFunc(out, func(o Sample) bool { return o.Index == c.Index }) {
			return
		}
		chosen := c.Sample
		chosen.Why = why
		out = append(out, chosen)
	}
	add(s.longest, WhyLongest)
	add(s.shortest, WhyShortest)
	for i := range s.odd {
		add(&s.odd[i], WhyParameters)
	}
	for i := range s.first {
		add(&s.first[i], WhyFirst)
	}
	return out
}

// emptyWords are what programs and spreadsheets write where there is nothing.
var emptyWords = []string{"null", "nil", "none", "nan", "undefined", "n/a", "#n/a", "#ref!", "#value!", "#name?", "-", "?", "test", "xxx"}

// leftovers are what stays in a text where something was not filled in, or was escaped once
// too often.
var leftovers = []string{"${", "{{", "}}", "&amp;", "&nbsp;", "&#", "<br", "\\n", "\\u", "%s", "\ufffd", "Ã"}

// oddness says how odd the parameters of a message and its text look; 0 is not at all.
func oddness(m *message.Message, text string) (odd int) {
	for _, v := range m.Params {
		trimmed := strings.TrimSpace(v)
		switch {
		case trimmed == "":
			odd += 4
		case slices.Contains(emptyWords, strings.ToLower(trimmed)):
			odd += 4
		case trimmed != v:
			odd += 2
		}
		if strings.ContainsFunc(trimmed, unicode.IsControl) {
			odd += 2
		}
		if message.CountSMS(v).Encoding == message.EncodingUCS2 {
			odd++ // it may be what makes an SMS of more parts out of one
		}
	}
	for _, s := range leftovers {
		if strings.Contains(text, s) {
			odd += 3
		}
	}
	return odd
}
