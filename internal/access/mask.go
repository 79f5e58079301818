package access

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/internal/message"
)

// masked stands for what is not shown.
const masked = "***"

// Mask is a recipient or a reference as the person may see it: as it is with Unmask, else
// with so little of it that nobody finds the person: +49***78, a***@example.com, ***.
// Empty stays empty.
func (p Person) Mask(s string) string {
	if p.May(Unmask) {
		return s
	}
	return mask(s)
}

// Numbers have at least so many characters where some of them are shown.
const minShown = 10

func mask(s string) string {
	if s == "" {
		return ""
	}
	if local, domain, ok := strings.Cut(s, "@"); ok && local != "" && strings.Contains(domain, ".") {
		_, n := utf8.DecodeRuneInString(local)
		return local[:n] + masked + "@" + domain
	}
	if len(s) < minShown || s[0] != '+' || strings.Trim(s[1:], "0123456789") != "" {
		return masked
	}
	return s[:3] + masked + s[len(s)-2:]
}

// inText finds what may be a recipient in a sentence: an address of email, or seven digits
// and more, also with the marks that people put between them.
var inText = regexp.MustCompile(`[^\s<>"'(),;:=]+@[^\s<>"'(),;]+|\+?\(?\d(?:[\s().\-/]{0,3}\d){6,}`)

// MaskText is a sentence, such as what a provider answered, as the person may see it:
// where it is not as it is, values and whatever else looks like a recipient are masked.
func (p Person) MaskText(s string, values ...string) string {
	if p.May(Unmask) || s == "" {
		return s
	}
	for _, v := range values {
		if v != "" {
			s = strings.ReplaceAll(s, v, mask(v))
		}
	}
	return inText.ReplaceAllStringFunc(s, func(found string) string {
		if isoDate.MatchString(found) {
			return found
		}
		return mask(found)
	})
}

// isoDate is a day, which has as many digits as a number.
var isoDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// MaskRow is a message as the person may see it. Without Unmask it has no text and no
// addresses, and its provider's id, which may hold the recipient, is masked.
func (p Person) MaskRow(row message.Row) message.Row {
	if p.May(Unmask) {
		return row
	}
	values := []string{row.To, row.Given}
	if row.Reference != nil {
		values = append(values, *row.Reference)
		reference := mask(*row.Reference)
		row.Reference = &reference
	}
	row.Detail = p.MaskText(row.Detail, values...)
	row.To, row.Given, row.ProviderID = mask(row.To), mask(row.Given), mask(row.ProviderID)
	row.Text, row.Addresses = nil, nil
	row.Trail = slices.Clone(row.Trail)
	for i := range row.Trail {
		row.Trail[i].Detail = p.MaskText(row.Trail[i].Detail, values...)
	}
	return row
}

// MaskStatus is a batch as the person may see it: without Unmask no reason and no
// metadata names a recipient. Its id stays, since it is what the batch is asked for by.
func (p Person) MaskStatus(st message.Status) message.Status {
	if p.May(Unmask) {
		return st
	}
	st.Reasons = slices.Clone(st.Reasons)
	for i := range st.Reasons {
		st.Reasons[i].Detail = p.MaskText(st.Reasons[i].Detail)
	}
	st.Metadata = p.maskJSON(st.Metadata)
	return st
}

// maskJSON masks the texts and long numbers of a value, and all of one that cannot be read.
func (p Person) maskJSON(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return json.RawMessage("{}")
	}
	out, err := json.Marshal(p.maskValue(v))
	if err != nil {
		return json.RawMessage("{}")
	}
	return out
}

func (p Person) maskValue(v any) any {
	switch v := v.(type) {
	case string:
		return p.MaskText(v)
	case json.Number:
		if s := v.String(); p.MaskText(s) != s {
			return masked
		}
	case []any:
		for i := range v {
			v[i] = p.maskValue(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = p.maskValue(v[name])
		}
	}
	return v
}
