package message

import (
	"encoding/json"
	"fmt"
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
	To string
	// Phone is To as a phone number in E.164, where that was found when the message was
	// accepted and differs; empty is To. Region is where the numbers of the message that
	// have no country code are written.
	Phone  string
	Region string
	// Addresses are all ways to reach the recipient; none is To as Message.AddressesIn has it.
	Addresses []Address
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

// MaxContent is how many bytes a content may have once its parameters are filled in.
// No provider takes as much.
const MaxContent = 1 << 20

// SizeError refuses a content that would have more than MaxContent bytes.
type SizeError struct {
	// Path is the place at which there is too much.
	Path string
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: with its parameters the content has more than %d bytes", e.Path, MaxContent)
}

// Render lays the message's body over the template's and fills in the
// parameters, in every string of the scope however deep; the text that it puts
// in is not searched again, and keys are never touched. Whatever holds no
// placeholder leaves as the same bytes, fields that nobody knows included, without
// the escapes that PlainJSON takes out. It returns the content and its plain text, a *ParameterError for a ${name} without value, and a
// *SizeError where parameters make it too large.
func (t *Template) Render(m *Message) (content json.RawMessage, text string, err error) {
	top, err := overlay(t.Body, m.Body)
	if err != nil {
		return nil, "", err
	}
	if fill := t.filler(m.Params); fill != nil {
		for i := range top {
			if !t.inScope(top[i].key) {
				continue
			}
			if top[i].value, err = substitute(top[i].value, top[i].key, fill); err != nil {
				return nil, "", err
			}
		}
	}
	content = PlainJSON(top.encode())
	for _, path := range t.TextPaths {
		if text = textAt(content, path); text != "" {
			break
		}
	}
	return content, text, nil
}

// Parameters lists the names of the ${name} placeholders in the template's own
// body, each once, in the order in which they stand there, and at most so many of them.
// A message without a body of its own renders if and only if it has a value for each. A
// template of another syntax needs none.
func (t *Template) Parameters(most int) ([]string, error) {
	if t.Syntax != SyntaxBraces {
		return nil, nil
	}
	all, err := t.Strings()
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{}
	for _, s := range all {
		fillBraces(s, func(name string) (string, bool) {
			if !seen[name] && len(names) < most {
				seen[name] = true
				names = append(names, name)
			}
			return "", len(names) < most
		})
	}
	return names, nil
}

// uses counts how often each ${name} stands in the template's own body; a template of
// another syntax, or one that cannot be read, has none.
func (t *Template) uses() map[string]int {
	if t.Syntax != SyntaxBraces {
		return nil
	}
	all, err := t.Strings()
	if err != nil {
		return nil
	}
	uses := map[string]int{}
	for _, s := range all {
		fillBraces(s, func(name string) (string, bool) {
			uses[name]++
			return "", true
		})
	}
	return uses
}

// Strings lists every string of the template's own body that Render searches for
// placeholders and that may hold one, which is one with a dollar sign.
func (t *Template) Strings() ([]string, error) {
	top, err := overlay(t.Body, nil)
	if err != nil {
		return nil, err
	}
	var all []string
	note := func(s string) (string, string) {
		if strings.Contains(s, "$") {
			all = append(all, s)
		}
		return s, ""
	}
	for _, f := range top {
		if t.inScope(f.key) {
			if _, err := substitute(f.value, f.key, note); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (t *Template) inScope(key string) bool {
	return len(t.Scope) == 0 || slices.Contains(t.Scope, key)
}
