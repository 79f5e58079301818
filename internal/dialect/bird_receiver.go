package dialect

import (
	"strconv"
	"strings"

	"volley/internal/message"
)

// birdRecipient lists the addresses of the contacts: first that of the first one that is
// addressed directly, or of the first of all, which says most to a person; those of copies
// are left out where somebody is addressed directly. A message to nobody is a problem: Bird's
// schema lets it pass, and no channel could deliver it.
func birdRecipient(r *reader, path string, fields map[string]any) (all []message.Address, numbers []message.PhoneNumber) {
	receiver, ok := fields["receiver"].(map[string]any)
	if !ok {
		return nil, nil
	}
	at := child(child(path, "receiver"), "contacts")
	contacts, ok := receiver["contacts"].([]any)
	if _, given := receiver["contacts"]; !given {
		r.add(at, message.CodeRequired, "is required")
	}
	if !ok {
		return nil, nil
	}
	broken := birdBroken(r, at)
	var copies []message.Address
	for i, c := range contacts {
		contact, ok := c.(map[string]any)
		if !ok {
			continue
		}
		numbers = append(numbers, birdNumbers(element(at, i), contact)...)
		own := birdAddresses(contact)
		if len(own) == 0 && !broken[strconv.Itoa(i)] {
			r.add(element(at, i), message.CodeRequired, "needs an identifierValue, identifiers, a platformAddress or an id")
		}
		if kind, _ := contact["type"].(string); kind == "cc" || kind == "bcc" {
			copies = append(copies, own...)
		} else {
			all = append(all, own...)
		}
	}
	if len(all) == 0 {
		all = copies
	}
	return all, numbers
}

// birdNumbers are the identifiers of a contact that are phone numbers.
func birdNumbers(path string, contact map[string]any) (numbers []message.PhoneNumber) {
	add := func(path string, identifier map[string]any) {
		if s, _ := identifier["identifierValue"].(string); s != "" && identifier["identifierKey"] == "phonenumber" {
			numbers = append(numbers, message.PhoneNumber{Path: child(path, "identifierValue"), Value: s})
		}
	}
	add(path, contact)
	identifiers, _ := contact["identifiers"].([]any)
	for i, v := range identifiers {
		identifier, _ := v.(map[string]any)
		add(element(child(path, "identifiers"), i), identifier)
	}
	return numbers
}

// birdBroken holds the indexes of the items of a list that have a problem within.
func birdBroken(r *reader, list string) map[string]bool {
	broken := map[string]bool{}
	for _, p := range r.problems {
		if rest, below := strings.CutPrefix(p.Path, list+"["); below {
			i, _, _ := strings.Cut(rest, "]")
			broken[i] = true
		}
	}
	return broken
}

// birdAddresses are the addresses of a contact, first what says most to a person.
func birdAddresses(contact map[string]any) (all []message.Address) {
	add := func(identifier map[string]any) {
		s, _ := identifier["identifierValue"].(string)
		if s == "" {
			return
		}
		a := message.Address{Kind: message.KindContact, Value: s}
		switch key, _ := identifier["identifierKey"].(string); key {
		case "phonenumber":
			a.Kind = message.KindPhone
		case "emailaddress":
			a.Kind = message.KindEmail
		}
		all = append(all, a)
	}
	add(contact)
	identifiers, _ := contact["identifiers"].([]any)
	for _, v := range identifiers {
		identifier, _ := v.(map[string]any)
		add(identifier)
	}
	for _, key := range []string{"platformAddress", "id"} {
		if s, _ := contact[key].(string); s != "" {
			all = append(all, message.Address{Kind: message.KindContact, Value: s})
		}
	}
	return all
}
