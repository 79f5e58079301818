package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Outgoing is one message ready to leave: what a provider's sender gets.
type Outgoing struct {
	ID      string
	Batch   string
	Tenant  string
	Dialect string
	Index   int
	// To, Reference and Metadata are the caller's.
	To        string
	Reference string
	Metadata  json.RawMessage
	// Channels is the hop's part of the channel order.
	Channels []string
	// Content is the request body in the dialect's own shape, filled in.
	Content json.RawMessage
	// Text is the content's plain text; empty when it has none.
	Text string
	// Due and ExpiresAt bound when it may go out.
	Due       time.Time
	ExpiresAt time.Time
	// Twin is true when another message of the batch has the same recipient and
	// content.
	Twin bool
}

// Receipt is a provider's acceptance.
type Receipt struct {
	// ProviderID is the provider's own id of the message; empty if it gives none.
	ProviderID string
}

// ParameterError names a placeholder that no parameter fills in.
type ParameterError struct {
	// Path is the place within the content, as message.text_message.text.
	Path string
	// Name is the parameter's.
	Name string
}

func (e *ParameterError) Error() string {
	return fmt.Sprintf("%s: no value for parameter %q", e.Path, e.Name)
}

// Render lays the message's body over the template's and fills in the
// parameters, in every string of the scope however deep; the text that it puts
// in is not searched again. Fields it does not know pass through. It returns the
// content and its plain text, and a *ParameterError for a ${name} without value.
func (t *Template) Render(m *Message) (content json.RawMessage, text string, err error) {
	top, err := overlay(t.Body, m.Body)
	if err != nil {
		return nil, "", err
	}
	replace := t.replacer(m.Params)
	for i := range top {
		if replace != nil && (len(t.Scope) == 0 || slices.Contains(t.Scope, top[i].key)) {
			if top[i].value, err = substitute(top[i].value, top[i].key, replace); err != nil {
				return nil, "", err
			}
		}
	}
	content = top.encode()
	return content, t.text(content), nil
}

func (t *Template) text(content json.RawMessage) string {
	for _, path := range t.TextPaths {
		raw := content
		for _, k := range path {
			var m map[string]json.RawMessage
			if json.Unmarshal(raw, &m) != nil {
				raw = nil
				break
			}
			raw = m[k]
		}
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" {
			return s
		}
	}
	return ""
}

var braces = regexp.MustCompile(`\$\{([^{}$]+)\}`)

// replacer returns what fills in one string, or nil when nothing can change.
func (t *Template) replacer(params map[string]string) func(path, s string) (string, error) {
	switch t.Syntax {
	case SyntaxBraces:
		return func(path, s string) (string, error) {
			var missing string
			out := braces.ReplaceAllStringFunc(s, func(p string) string {
				v, ok := params[p[2:len(p)-1]]
				if !ok && missing == "" {
					missing = p[2 : len(p)-1]
				}
				return v
			})
			if missing != "" {
				return "", &ParameterError{Path: path, Name: missing}
			}
			return out, nil
		}
	case SyntaxKeys:
		if len(params) == 0 {
			return nil
		}
		keys := make([]string, 0, len(params))
		for k := range params {
			keys = append(keys, k)
		}
		// Longer keys first, so that no key hides in another.
		slices.SortFunc(keys, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
		pairs := make([]string, 0, 2*len(keys))
		for _, k := range keys {
			pairs = append(pairs, k, params[k])
		}
		r := strings.NewReplacer(pairs...)
		return func(_, s string) (string, error) { return r.Replace(s), nil }
	default:
		return nil
	}
}

// substitute rewrites the strings inside a JSON value and leaves every other
// byte, number and order of keys as it is.
func substitute(raw json.RawMessage, path string, replace func(path, s string) (string, error)) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || !bytes.ContainsRune(raw, '$') && !bytes.Contains(raw, []byte(`\u0024`)) {
		return raw, nil
	}
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		out, err := replace(path, s)
		if err != nil || out == s {
			return raw, err
		}
		return encode(out), nil
	case '{':
		fields, err := decodeObject(raw)
		if err != nil {
			return nil, err
		}
		for i, f := range fields {
			if fields[i].value, err = substitute(f.value, path+"."+f.key, replace); err != nil {
				return nil, err
			}
		}
		return fields.encode(), nil
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		for i := range items {
			var err error
			if items[i], err = substitute(items[i], fmt.Sprintf("%s[%d]", path, i), replace); err != nil {
				return nil, err
			}
		}
		return encode(items), nil
	default:
		return raw, nil
	}
}

// object is a JSON object that keeps the order of its keys.
type object []field

type field struct {
	key   string
	value json.RawMessage
}

func decodeObject(raw json.RawMessage) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("content is not a JSON object")
	}
	var o object
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		o = append(o, field{tok.(string), v})
	}
	return o, nil
}

func (o object) encode() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(f.key))
		b.WriteByte(':')
		b.Write(f.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func overlay(under, over json.RawMessage) (object, error) {
	var out object
	for _, raw := range []json.RawMessage{under, over} {
		if len(raw) == 0 {
			continue
		}
		o, err := decodeObject(raw)
		if err != nil {
			return nil, err
		}
		for _, f := range o {
			if i := slices.IndexFunc(out, func(g field) bool { return g.key == f.key }); i >= 0 {
				out[i].value = f.value
			} else {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// encode writes a value without escaping <, > and &, as the caller wrote them.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings and decoded JSON always encode
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
