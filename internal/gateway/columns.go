package gateway

import (
	"strings"

	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// columnParameters are those that say how the columns of a CSV file are read.
var columnParameters = []string{"toColumn", "map", "ignoreColumns", "skipIf"}

// columns reads these parameters, and unique. They mean what the flags of `volley
// start` mean, except that unused columns which the command refuses only cause a
// warning unless the request is strict.
func (q *query) columns(s *submission) {
	c := &s.options.Columns
	c.Refuse = s.options.Strict
	each := func(name, flag string, add func(string) error) {
		q.known[name] = true
		s.flags[flag] = strings.Join(q.values[name], "\x00")
		for _, v := range q.values[name] {
			if err := add(v); err != nil {
				q.fail(name, "is "+err.Error())
			}
		}
	}
	if to := q.text("toColumn"); to != "" {
		s.flags["to-column"] = to
		if err := c.AddMap("to=" + to); err != nil {
			q.fail("toColumn", "is "+err.Error())
		}
	}
	each("map", "map", c.AddMap)
	each("ignoreColumns", "ignore-columns", c.AddIgnore)
	each("skipIf", "skip-if", c.AddSkipIf)
	if v := q.text("unique"); v != "" {
		// A + in a query is a space.
		v = strings.ReplaceAll(v, " ", "+")
		s.flags["unique"] = v
		var err error
		if s.options.Unique, err = intake.ParseUnique(v); err != nil {
			q.fail("unique", "is "+err.Error())
		}
	}
}

// acceptedDocument answers a submit of Volley's own API.
type acceptedDocument struct {
	starter.Started
	// Excluded is how many of the rejected messages are left out as asked.
	Excluded int `json:"excluded"`
	// Suppressed is how many of these are left out since their recipients want no messages.
	Suppressed int `json:"suppressed"`
	// Warnings are the first hundred things that should be known and stop nothing.
	Warnings message.Problems `json:"warnings"`
}

// accepted is that document.
func accepted(s *submitted) acceptedDocument {
	s.Problems = s.Problems[:min(len(s.Problems), maxShown)]
	warnings := append(message.Problems{}, s.warnings...) // [] in JSON
	return acceptedDocument{Started: s.Started, Excluded: s.excluded, Suppressed: s.suppressed, Warnings: warnings[:min(len(warnings), maxShown)]}
}
