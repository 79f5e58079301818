package intake

import (
	"time"

	"volley/internal/message"
)

// filter leaves out the messages of one request that are not to be sent: those of
// excluded recipients, and those that repeat an earlier one.
type filter struct {
	request *Request
	repeats *repeats
	// noun is what one message is called.
	noun string
	// excluded is how many messages are left out as asked, those that the dialect left
	// out among them.
	excluded int
	// suppressed are those of them whose recipients want no messages.
	suppressed int
	// timed counts the messages whose own due time overrides the one given beside the
	// request; first is the earliest of those times, in Unix ms.
	timed int
	first int64
	// keys are those of the message that is looked at.
	keys []string
}

// newFilter returns the filter of a request of which nothing has been read.
func (q *Request) newFilter() *filter {
	s := &filter{request: q, repeats: newRepeats(q.o.Unique), noun: "message"}
	if q.IsCSV() {
		s.noun = "row"
	}
	if q.o.Exclude != nil {
		q.o.Exclude.seal()
	}
	return s
}

// apply looks at the message with index i, whose way is decided. region is its batch's.
func (s *filter) apply(i int, m *message.Message, region string) {
	o := &s.request.o
	key := m.Phone
	if key == "" {
		key = recipientKey(m.To, region)
	}
	if o.Exclude != nil && s.isExcluded(m, key, region) {
		m.Problems = nil // what else is wrong with it does not matter
		m.Problems.Add(i, o.Dialect.Recipient(i), message.CodeExcluded, m.AtLine()+"the recipient is in the exclusion list")
		m.Route = -1
	}
	if len(m.Problems) == 0 && o.Suppressed != nil && o.Suppressed(s.request.caller.Tenant, region, reachable(m)) {
		m.Problems.Add(i, o.Dialect.Recipient(i), message.CodeSuppressed, m.AtLine()+"the recipient is on the suppression list")
		s.suppressed++
	}
	if len(m.Problems) == 0 && key != "" {
		s.repeats.check(i, m, s.keysOf(m, key, region), o.Dialect)
	}
	m.Line, m.Numbers = 0, nil
	if !o.SendAfter.IsZero() && m.Due != 0 && len(m.Problems) == 0 {
		if s.timed++; s.timed == 1 || m.Due < s.first {
			s.first = m.Due
		}
	}
	if o.leavesOut(m.Problems) {
		s.excluded++
	}
}

// isExcluded reports whether the recipient, whose key is given, is excluded, or any
// number in the message's own body, or any other of its addresses: a provider may try
// each of them.
func (s *filter) isExcluded(m *message.Message, key, region string) bool {
	e := s.request.o.Exclude
	excluded := e.has(key)
	for _, n := range m.Numbers {
		excluded = e.has(recipientKey(n.Value, region)) || excluded
	}
	for _, a := range m.Addresses {
		excluded = e.has(recipientKey(a.Value, region)) || excluded
	}
	return excluded
}

// keysOf are the keys of all addresses of a recipient; key is that of a single one.
// Phone numbers and email addresses are the same on every channel, and a text without a
// kind may be one; an address of another kind is the same as one of its kind only, and
// KindOther on its channel only.
func (s *filter) keysOf(m *message.Message, key, region string) []string {
	s.keys = s.keys[:0]
	if len(m.Addresses) == 0 {
		s.keys = append(s.keys, key)
	}
	for _, a := range m.Addresses {
		key = recipientKey(a.Value, region)
		switch a.Kind {
		case message.KindContact, message.KindConvo, message.KindRoom:
			key = string(a.Kind) + "\x00" + key
		case message.KindOther:
			key = string(a.Kind) + "\x00" + a.Channel + "\x00" + key
		}
		s.keys = append(s.keys, key)
	}
	return s.keys
}

// reachable lists the recipient's addresses, those in the message's own body too.
func reachable(m *message.Message) []string {
	values := message.Reachable(m.To, m.Phone, m.Addresses)
	for _, n := range m.Numbers {
		values = append(values, n.Value)
	}
	return values
}

func (s *filter) warnings() message.Problems {
	var out message.Problems
	if e := s.request.o.Exclude; e != nil {
		out = e.warnings()
	}
	if s.timed > 0 {
		have, option := s.noun+"s have times of their own", "--send-after or --at"
		if s.timed == 1 {
			have = s.noun + " has a time of its own"
		}
		if s.request.o.OverHTTP {
			option = "sendAfter"
		}
		due := "at once"
		if in := time.UnixMilli(s.first).Sub(s.request.o.Now).Round(time.Second); in > 0 {
			due = "in " + in.String()
		}
		out.Add(message.WholeBatch, "sendAfter", message.CodeConflict,
			"%d %s, for which %s does not count; the first is due %s", s.timed, have, option, due)
	}
	return append(out, s.repeats.warnings(s.noun, s.request.o.OverHTTP)...)
}
