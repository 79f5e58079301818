package dialect

import (
	"slices"
	"strings"

	"volley/internal/message"
)

// sinchKind is one of the nine kinds of a message and what is checked inside it.
// Limits are those of messages:send; everything else passes through unread.
type sinchKind struct {
	name  string
	check func(*reader, *object)
}

var sinchKinds = []sinchKind{
	{"text_message", func(r *reader, o *object) { r.requireText(o, "text") }},
	{"media_message", func(r *reader, o *object) { r.requireText(o, "url") }},
	{"card_message", checkCard},
	{"carousel_message", checkCarousel},
	{"choice_message", checkCard},
	{"list_message", checkList},
	{"location_message", func(*reader, *object) {}},
	{"contact_info_message", func(*reader, *object) {}},
	{"template_message", func(*reader, *object) {}},
}

// sinchOverrides carry content of their own for single channels, so that a
// message may do without one of the nine kinds.
var sinchOverrides = []string{"explicit_channel_message", "explicit_channel_omni_message", "channel_specific_message"}

// content checks the message that all recipients share.
func (s *sinch) content(n node) {
	o, ok := s.object(n)
	if !ok {
		return
	}
	var kinds []string
	for _, k := range sinchKinds {
		value, ok := o.take(k.name)
		if !ok {
			continue
		}
		kinds = append(kinds, k.name)
		if inner, ok := s.object(value); ok {
			k.check(&s.reader, inner)
		}
	}
	overrides := 0
	for _, name := range sinchOverrides {
		if value, ok := o.take(name); ok {
			overrides += s.override(value, name == "explicit_channel_message")
		}
	}
	switch {
	case len(kinds) > 1:
		s.add(n.path, message.CodeConflict, "expected one kind of message, got %s", strings.Join(kinds, ", "))
	case len(kinds) == 0 && overrides == 0:
		s.add(n.path, message.CodeRequired, "expected one kind of message, such as text_message")
	}
	if value, ok := o.take("agent"); ok {
		s.agent(value)
	}
}

// override checks a map from channel to content and counts its entries.
func (s *sinch) override(n node, asText bool) int {
	o, ok := s.object(n)
	if !ok {
		return 0
	}
	for _, f := range o.fields {
		if !slices.Contains(sinchChannels, f.key) {
			s.add(f.path, message.CodeEnum, "expected a channel, one of %s", strings.Join(sinchChannels, ", "))
		}
		if asText {
			s.filled(f.node)
		} else {
			s.object(f.node)
		}
	}
	return len(o.fields)
}

func (s *sinch) agent(n node) {
	o, ok := s.object(n)
	if !ok {
		return
	}
	for _, key := range []string{"display_name", "picture_url"} {
		if value, ok := o.take(key); ok {
			s.text(value)
		}
	}
	if value, ok := o.take("type"); ok {
		s.oneOf(value, "UNKNOWN_AGENT_TYPE", "HUMAN", "BOT")
	}
}

// checkCard checks a card or a choice, which have the same limit.
func checkCard(r *reader, o *object) {
	if n, ok := o.take("choices"); ok {
		r.atMost(n, 10)
	}
}

func checkCarousel(r *reader, o *object) {
	if n, ok := o.take("cards"); ok {
		cards, _ := r.atMost(n, 10)
		for _, card := range cards {
			if inner, ok := r.object(card); ok {
				checkCard(r, inner)
			}
		}
	}
	if n, ok := o.take("choices"); ok {
		r.atMost(n, 3)
	}
}

func checkList(r *reader, o *object) {
	r.requireText(o, "title")
	if n, ok := r.required(o, "sections"); ok {
		if n.raw[0] != '[' {
			r.wrong(n, "an array")
		} else if countItems(n.raw) == 0 {
			r.add(n.path, message.CodeTooFew, "at least 1 section")
		}
	}
}

// requireText checks a string that must be there and not be empty.
func (r *reader) requireText(o *object, key string) {
	if n, ok := r.required(o, key); ok {
		r.filled(n)
	}
}
