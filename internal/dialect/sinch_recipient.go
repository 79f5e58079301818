package dialect

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"volley/internal/message"
)

// The limits of messages:send on metadata, less what the request needs besides
// the caller's keys, which are _batch_id and our message id.
const (
	sinchOurKeys      = 192
	sinchMetadata     = 1024 - sinchOurKeys
	sinchConversation = 2048 - sinchOurKeys
)

// sinchBatchID is the key that the API itself adds to metadata, sinchMessageID the
// one with which our sender marks a message.
const (
	sinchBatchID   = "_batch_id"
	sinchMessageID = "_volley_id"
)

func (s *sinch) recipients(n node) {
	items, ok := s.atMost(n, sinchRecipients)
	if !ok {
		return
	}
	if len(items) == 0 {
		s.add(n.path, message.CodeTooFew, "at least 1 recipient")
		return
	}
	if s.batch.Messages, ok = messagesOf(items, s.options, s.recipient); !ok {
		s.batch, s.problems = givenUp()
	}
}

// recipient reads one item of recipient_and_params.
func (s *sinch) recipient(r *reader, o *object) message.Message {
	m := message.Message{Channels: s.order}
	var own builder
	if n, ok := r.required(o, "recipient"); ok {
		var all []message.Address
		all, m.Numbers = s.identity(r, n)
		m.Reach(all)
		own.add("recipient", n.raw)
	}
	m.Params = s.parameters(r, o)
	for _, kind := range []struct {
		key    string
		shared *object
		limit  int
		own    []string
	}{
		{"message_metadata", s.metadata, sinchMetadata, []string{sinchBatchID, sinchMessageID}},
		{"conversation_metadata", s.conversation, sinchConversation, []string{sinchBatchID}},
	} {
		n, ok := o.take(kind.key)
		if !ok {
			continue
		}
		if over := r.metadataObject(n, kind.own...); over != nil {
			merged := merge(kind.shared, over)
			r.fits(n.path, merged, kind.limit)
			own.add(kind.key, merged)
		}
	}
	r.refuseUnknown(o)
	m.Body = own.object()
	return m
}

// identity reads whom a message is for: a contact, or identities on channels.
func (s *sinch) identity(r *reader, n node) (all []message.Address, numbers []message.PhoneNumber) {
	o, ok := r.object(n)
	if !ok {
		return nil, nil
	}
	contact, byContact := o.take("contact_id")
	identified, byIdentity := o.take("identified_by")
	switch {
	case byContact && byIdentity:
		r.add(n.path, message.CodeConflict, "expected either contact_id or identified_by")
	case byContact && s.strategy == dispatchOnly:
		r.add(contact.path, message.CodeConflict, "with processing_strategy DISPATCH_ONLY a recipient must be given by identified_by")
	case byContact:
		if id, ok := r.filled(contact); ok {
			all = []message.Address{{Kind: message.KindContact, Value: id}}
		}
	case byIdentity:
		all, numbers = s.channelIdentity(r, identified)
	default:
		r.add(n.path, message.CodeRequired, "expected contact_id or identified_by")
	}
	r.refuseUnknown(o)
	return all, numbers
}

// channelIdentity reads identified_by. It returns all identities, first that on the first
// channel of the order, or else the first of all, and those that are phone numbers.
func (s *sinch) channelIdentity(r *reader, n node) (all []message.Address, numbers []message.PhoneNumber) {
	o, ok := r.object(n)
	if !ok {
		return nil, nil
	}
	defer r.refuseUnknown(o)
	list, ok := r.required(o, "channel_identities")
	if !ok {
		return nil, nil
	}
	items, ok := r.atMost(list, sinchIdentities)
	if ok && len(items) == 0 {
		r.add(list.path, message.CodeTooFew, "at least 1 identity")
	}
	best, first := len(s.order)+1, 0
	for _, item := range items {
		channel, identity := r.onChannel(item)
		if identity == "" || channel == "" {
			continue
		}
		a := message.Address{Kind: message.KindOther, Channel: channel, Value: identity}
		if message.PhoneChannel(channel) {
			a.Kind = message.KindPhone
			numbers = append(numbers, message.PhoneNumber{Path: child(item.path, "identity"), Value: identity})
		}
		rank := len(s.order)
		if at := slices.Index(s.order, channel); at >= 0 {
			rank = at
		}
		if rank < best {
			first, best = len(all), rank
		}
		all = append(all, a)
	}
	if first > 0 {
		preferred := all[first]
		copy(all[1:first+1], all[:first])
		all[0] = preferred
	}
	return all, numbers
}

// onChannel reads one {channel, identity}.
func (r *reader) onChannel(n node) (channel, identity string) {
	o, ok := r.object(n)
	if !ok {
		return "", ""
	}
	if c, ok := r.required(o, "channel"); ok {
		channel, _ = r.oneOf(c, sinchChannels...)
	}
	if id, ok := r.required(o, "identity"); ok {
		identity, _ = r.filled(id)
	}
	r.refuseUnknown(o)
	return channel, identity
}

// parameters reads the values of one recipient, keeps those that the message uses, and
// reports each used parameter without a value.
func (s *sinch) parameters(r *reader, o *object) map[string]string {
	given := map[string]string{}
	if n, ok := o.take("parameters"); ok {
		values, ok := r.object(n)
		if !ok {
			return nil
		}
		for i, f := range values.fields {
			s.notes.param(i, f.key, s.names)
			given[f.key], _ = r.text(f.node)
		}
	}
	var used map[string]string
	for _, name := range s.names {
		v, ok := given[name]
		if !ok {
			if r.full(sinchMissing) {
				break // of one recipient; the rest adds nothing
			}
			r.add(child(child(o.path, "parameters"), name), message.CodeParameter, "the message uses ${%s}, and it has no value here", message.Excerpt(name))
			continue
		}
		if used == nil {
			used = make(map[string]string, len(s.names))
		}
		used[name] = v
	}
	for i := range s.bareTexts {
		if r.full(sinchMissing) {
			break
		}
		if b := &s.bareTexts[i]; b.isEmpty(used) {
			path := child(o.path, "parameters")
			if len(b.needs) == 1 {
				path = child(path, b.needs[0])
			}
			r.add(path, message.CodeTooShort, "%s is empty with its parameters", b.path)
		}
	}
	return used
}

// metadataObject reads a metadata object without reserved keys.
func (r *reader) metadataObject(n node, reserved ...string) *object {
	o, ok := r.object(n)
	if !ok {
		return nil
	}
	for _, key := range reserved {
		if own, ok := o.get(key); ok {
			r.add(own.path, message.CodeConflict, "%s is reserved", key)
		}
	}
	return o
}

func (r *reader) fits(path string, raw json.RawMessage, limit int) bool {
	c := utf8.RuneCount(raw)
	if c > limit {
		r.add(path, message.CodeTooLong, "at most %d characters of JSON, got %d", limit, c)
	}
	return c <= limit
}

// merge lays the keys of one object over those of another, which may be nil.
func merge(under, over *object) json.RawMessage {
	var b builder
	if under != nil {
		for _, f := range under.fields {
			if i, ok := over.find(f.key); ok {
				f = over.fields[i]
			}
			b.add(f.key, f.raw)
		}
	}
	for _, f := range over.fields {
		if under != nil {
			if _, ok := under.find(f.key); ok {
				continue
			}
		}
		b.add(f.key, f.raw)
	}
	return b.object()
}
