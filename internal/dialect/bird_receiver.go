package dialect

import (
	"strconv"
	"strings"

	"volley/internal/message"
)

// birdRecipient names the first contact that is addressed directly, or the first
// of all, by what says most to a person. A message to nobody is a problem: Bird's
// schema lets it pass, and no channel could deliver it.
func birdRecipient(r *reader, path string, fields map[string]any) (to string, numbers []message.PhoneNumber) {
	receiver, ok := fields["receiver"].(map[string]any)
	if !ok {
		return "", nil
	}
	at := child(child(path, "receiver"), "contacts")
	contacts, ok := receiver["contacts"].([]any)
	if _, given := receiver["contacts"]; !given {
		r.add(at, message.CodeRequired, "is required")
	}
	if !ok {
		return "", nil
	}
	broken, direct := birdBroken(r, at), false
	for i, c := range contacts {
		contact, ok := c.(map[string]any)
		if !ok {
			continue
		}
		numbers = append(numbers, birdNumbers(birdIndex(at, i), contact)...)
		address := birdAddress(contact)
		if address == "" && !broken[strconv.Itoa(i)] {
			r.add(birdIndex(at, i), message.CodeRequired, "needs an identifierValue, identifiers, a platformAddress or an id")
		}
		kind, _ := contact["type"].(string)
		first := kind != "cc" && kind != "bcc" && !direct
		if address != "" && (to == "" || first) {
			to, direct = address, direct || first
		}
	}
	return to, numbers
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
		add(birdIndex(child(path, "identifiers"), i), identifier)
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

// birdAddress is what of a contact says most to a person.
func birdAddress(contact map[string]any) string {
	if s, _ := contact["identifierValue"].(string); s != "" {
		return s
	}
	identifiers, _ := contact["identifiers"].([]any)
	for _, v := range identifiers {
		identifier, _ := v.(map[string]any)
		if s, _ := identifier["identifierValue"].(string); s != "" {
			return s
		}
	}
	for _, key := range []string{"platformAddress", "id"} {
		if s, _ := contact[key].(string); s != "" {
			return s
		}
	}
	return ""
}
