package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Selector chooses messages beside what their state and code say. What is empty chooses
// all; a message has to match the rest.
type Selector struct {
	// To is a recipient in any spelling, Reference the caller's own id of a message.
	To        string `json:"to,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Meta is key=value, of the message's own metadata or else of the batch's.
	Meta string `json:"meta,omitempty"`
	// Account is the one that the message went through last, or goes through.
	Account string `json:"account,omitempty"`
}

// IsZero reports whether the selector chooses all messages.
func (q Selector) IsZero() bool { return q == Selector{} }

// Check says what is wrong with the selector.
func (q Selector) Check() error {
	if key, _, ok := strings.Cut(q.Meta, "="); q.Meta != "" && (!ok || key == "") {
		return fmt.Errorf("meta %q, expected key=value", q.Meta)
	}
	return nil
}

// Matches reports whether a message is chosen. m is the message itself and b the header
// of its batch; key is the form in which recipients are compared, of the selector's and
// of a message's.
func (q Selector) Matches(b *Batch, row *Row, m *Message, key func(string) string) bool {
	switch {
	case q.Account != "" && row.Account != q.Account,
		q.Reference != "" && m.Reference != q.Reference,
		q.To != "" && !m.IsTo(key(q.To), key):
		return false
	case q.Meta == "":
		return true
	}
	metadata := m.Metadata
	if len(metadata) == 0 {
		metadata = b.Metadata
	}
	return HasPair(metadata, q.Meta)
}

// IsTo reports whether the message is for a recipient, in a form in which all spellings
// of it are the same.
func (m *Message) IsTo(recipient string, key func(string) string) bool {
	return key(m.To) == recipient || m.Phone != "" && key(m.Phone) == recipient ||
		slices.ContainsFunc(m.Addresses, func(a Address) bool { return key(a.Value) == recipient })
}

// HasPair reports whether a JSON object has a member as in key=value; the key ends at the
// first "=". A member that is no string has to be the value's JSON, blanks aside; numbers
// are the same only if they are written in the same way. What is no object has none.
func HasPair(object json.RawMessage, pair string) bool {
	key, want, _ := strings.Cut(pair, "=")
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return false
	}
	raw, ok := members[key]
	if !ok {
		return false
	}
	if raw[0] != '"' {
		return compact([]byte(want)) == compact(raw)
	}
	var text string
	return json.Unmarshal(raw, &text) == nil && text == want
}

// compact is JSON without blanks; what is no JSON stays as it is.
func compact(raw []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}
