package intake

import (
	"errors"
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
	m.Addresses = slices.Clone(m.Addresses) // a decoder's rows may share them
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
			default:
				setPhone(m, n.Value, e164)
			}
		}
	default:
		if len(m.Addresses) > 0 {
			r.acceptAddresses(i, m, need, refuse)
			return
		}
		if need.email && strings.Contains(m.To, "@") {
			return
		}
		e164, err := phone.Parse(m.To, r.batch.Region)
		switch {
		case err == nil && r.batch.Dialect == "volley":
			setPhone(m, m.To, e164)
		case r.batch.Dialect == "volley":
			refuse(r.path(i), err)
		}
	}
}

// acceptAddresses checks the addresses of a message that has several, or one that is not
// plain: the phone number, where there is one, must be one, and there must be an address
// that the accounts take.
func (r *recipients) acceptAddresses(i int, m *message.Message, need need, refuse func(path string, err error)) {
	reached := r.batch.Dialect != "volley"
	for _, a := range m.Addresses {
		switch a.Kind {
		case message.KindPhone:
			e164, err := phone.Parse(a.Value, r.batch.Region)
			if err != nil {
				refuse(r.path(i)+".phone", err)
				return
			}
			setPhone(m, a.Value, e164)
			reached = true
		case message.KindEmail:
			reached = reached || need.email
		}
	}
	if !reached {
		refuse(r.path(i), errNoNumber)
	}
}

var errNoNumber = errors.New("has no phone number, which an account of the message needs")

// setPhone keeps the normal form of a number that is written in another way.
func setPhone(m *message.Message, written, e164 string) {
	for i := range m.Addresses {
		if a := &m.Addresses[i]; a.Kind == message.KindPhone && a.Value == written {
			a.Value = e164
		}
	}
	if written == m.To && e164 != m.To {
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
			if r.batch.Dialect == "volley" && len(hop.Channels) > 0 && !slices.ContainsFunc(hop.Channels, message.PhoneChannel) {
				continue
			}
			n.number, n.email = true, false
		}
	}
	return n
}
