package config

import "fmt"

// redacted is what a Secret shows in every kind of output.
const redacted = "<secret>"

// Secret is a value that never prints: every way of formatting or encoding it
// gives "<secret>", also where reflection reaches it in an unexported field. The
// zero value is an empty secret.
type Secret struct {
	// reveal keeps the value out of reach of %v on an enclosing struct, where fmt
	// cannot call methods.
	reveal func() string
}

// NewSecret hides a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() string { return value }}
}

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.reveal == nil }

// String returns "<secret>".
func (Secret) String() string { return redacted }

// GoString returns "<secret>".
func (Secret) GoString() string { return redacted }

// Format writes "<secret>" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns "<secret>".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "<secret>" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML returns "<secret>" as a YAML string.
func (Secret) MarshalYAML() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
