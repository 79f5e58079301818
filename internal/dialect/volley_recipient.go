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
	m.To = trimRecipient(m.To)
	if m.To == "" && !slices.ContainsFunc(r.params.requested, isRecipient) {
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

// trimRecipient takes spaces and invisible characters off the ends.
func trimRecipient(to string) string {
	return strings.TrimFunc(to, func(c rune) bool { return c != reversed && (phone.IsMark(c) || phone.IsBlank(c)) })
}

// addressKinds are the kinds of addresses that a message can have several of, the preferred
// one first.
var addressKinds = [...]message.AddressKind{
	message.KindPhone, message.KindEmail, message.KindContact, message.KindConvo, message.KindRoom, message.KindOther,
}

// reachFirst makes the first of several addresses the recipient.
func (r *volleyRow) reachFirst() {
	if len(r.addresses) > 0 {
		r.to = optionalField{key: "to", value: r.addresses[0].Value, ok: true}
	}
}

// readTo reads to: a text, or an object of addresses by their kinds.
func (r *volleyRow) readTo(o *object) {
	n, ok := o.get("to")
	if !ok || n.kind() != "an object" {
		r.to = readOptional(o, "to", r.reader.text)
		return
	}
	_, _ = o.take("to")
	r.to = optionalField{key: "to"}
	kinds, ok := r.object(n)
	if !ok {
		return
	}
	for _, kind := range addressKinds {
		v, ok := kinds.take(string(kind))
		if !ok {
			continue
		}
		if s, ok := r.filled(v); ok {
			r.addresses = append(r.addresses, message.Address{Kind: kind, Value: s})
		}
	}
	r.refuseUnknown(kinds)
	if len(kinds.fields) == 0 {
		r.add(n.path, message.CodeRequired, "a message needs a recipient: phone, email, contact, convo, room or other")
	}
	r.reachFirst()
}

// fillAddresses takes off and refuses what fillTo does, in each address. An id of another
// kind is one on the message's channel.
func (b *volleyBatch) fillAddresses(m *message.Message, r *volleyRow) {
	for i, a := range r.addresses {
		one := volleyRow{reader: reader{index: r.index, most: maxRowProblems}, to: optionalField{key: "to", value: a.Value, ok: true}}
		cleaned := message.Message{To: a.Value}
		b.fillTo(&cleaned, &one)
		for _, p := range one.problems {
			r.add(child(r.place("to"), string(a.Kind)), p.Code, "%s", p.Detail)
		}
		r.addresses[i].Value = cleaned.To
		if a.Kind == message.KindOther && len(m.Channels) > 0 {
			r.addresses[i].Channel = m.Channels[0]
		}
	}
	m.Reach(r.addresses)
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
