package intake

import (
	"slices"
	"strings"

	"volley/internal/message"
	"volley/internal/phone"
)

// recipients checks the recipient of each message once its hops are known: Bird and
// Sinch accounts need phone numbers. A number in another form gets its E.164 form in
// Message.Phone.
type recipients struct {
	batch *message.Batch
	path  func(i int) string
	// needs holds what each way in batch.Hops needs, as far as it has been asked for.
	needs []need
}

// need is what one way needs of a recipient.
type need struct {
	// number is true where some account needs a phone number.
	number bool
	// email is true where all that need one also take an email address.
	email bool
}

func newRecipients(b *message.Batch, path func(i int) string) *recipients {
	return &recipients{batch: b, path: path}
}

// accept checks the message with index i. A recipient that its way needs as a phone
// number and that is none is a problem, for which the message is rejected:
//
//   - in the volley dialect that is "to", where an account of Bird or Sinch may send
//     the message, unless all of them also take email addresses and it is one, or the
//     channels of Sinch's have addresses of other kinds;
//   - in the bird and sinch dialects it is every number in the message's own body
//     (message.Numbers);
//   - in the others nothing: rooms and conversations are no numbers, and an account
//     that cannot reach one says so when its turn comes.
func (r *recipients) accept(i int, m *message.Message) {
	numbers := m.Numbers
	m.Phone = ""
	if m.Route < 0 || len(m.Problems) > 0 {
		return
	}
	need := r.need(m.Route)
	if !need.number {
		return
	}
	refuse := func(path string, err error) {
		m.Route = -1
		m.Problems.Add(i, path, message.CodeRecipient, m.AtLine()+err.Error())
	}
	switch r.batch.Dialect {
	case "bird", "sinch":
		for _, n := range numbers {
			e164, err := phone.Parse(n.Value, r.batch.Region)
			switch {
			case err != nil:
				refuse(n.Path, err)
			case n.Value == m.To:
				setPhone(m, e164)
			}
		}
	default:
		if need.email && strings.Contains(m.To, "@") {
			return
		}
		e164, err := phone.Parse(m.To, r.batch.Region)
		switch {
		case err == nil:
			setPhone(m, e164)
		case r.batch.Dialect == "volley":
			refuse(r.path(i), err)
		}
	}
}

// setPhone keeps the normal form of a number that is written in another way.
func setPhone(m *message.Message, e164 string) {
	if e164 != m.To {
		m.Phone = e164
	}
}

// need is what the way at an index of the batch's hops needs.
func (r *recipients) need(way int) need {
	for len(r.needs) <= way {
		r.needs = append(r.needs, r.needOf(r.batch.Hops[len(r.needs)]))
	}
	return r.needs[way]
}

func (r *recipients) needOf(way []message.Hop) need {
	n := need{email: true}
	for _, hop := range way {
		switch r.batch.Policies[hop.Account].Provider {
		case "bird":
			n.number = true
		case "sinch":
			if r.batch.Dialect == "volley" && len(hop.Channels) > 0 && !slices.ContainsFunc(hop.Channels, phone.OnChannel) {
				continue
			}
			n.number, n.email = true, false
		}
	}
	return n
}
