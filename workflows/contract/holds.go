package contract

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"volley/internal/message"
)

const (
	// MaxHolds is how many holds there may be at once; others are not taken. All of them
	// have to fit into one payload.
	MaxHolds = 1_000
	// maxMeta is how long a selector's key=value may be, in bytes of JSON.
	maxMeta = 300
)

// HoldsInput is what the workflow of the holds begins with. It stands in histories.
type HoldsInput struct {
	V     int   `json:"v"`
	Holds Holds `json:"holds,omitempty"`
}

// Selector says which messages a hold keeps back: those for which all holds that it
// names. All alone is every message.
type Selector struct {
	Account string `json:"account,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	// Meta is key=value of the batch's metadata.
	Meta string `json:"meta,omitempty"`
	All  bool   `json:"all,omitempty"`
	// From and To are the first and the last priority, 1 to 5; 0 is any.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}

// HoldFacts are what decides whether a message is held.
type HoldFacts struct {
	Account, Tenant string
	// Priority is 1 to 5; 0 is that of a batch that gives none.
	Priority int
	// Metadata is the batch's.
	Metadata json.RawMessage
}

// Check says what is wrong with a selector; nil is nothing.
func (s Selector) Check() error {
	_, _, pair := strings.Cut(s.Meta, "=")
	meta, _ := json.Marshal(s.Meta) // a text, which cannot fail
	switch {
	case !s.All && s.Account == "" && s.Tenant == "" && s.Meta == "":
		return errors.New("expected an account, a tenant, a key=value of the metadata, or all")
	case s.All && (s.Account != "" || s.Tenant != "" || s.Meta != ""):
		return errors.New("all is every message: leave it out, or leave out account, tenant and meta")
	case s.Meta != "" && !pair:
		return fmt.Errorf("meta %q, expected key=value", s.Meta)
	case len(meta) > maxMeta:
		return fmt.Errorf("meta has %s as JSON, at most %d are possible", message.Plural(len(meta), "byte"), maxMeta)
	case (s.From != 0 || s.To != 0) && (s.From < 1 || s.To > 5 || s.From > s.To):
		return fmt.Errorf("priority %d-%d, expected two numbers from 1 to 5, the smaller first", s.From, s.To)
	}
	return nil
}

// String names what is held, for people.
func (s Selector) String() string {
	var parts []string
	for _, p := range [][2]string{{"account ", s.Account}, {"tenant ", s.Tenant}, {"metadata ", s.Meta}} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	if s.All {
		parts = append(parts, "everything")
	}
	if s.From > 0 {
		parts = append(parts, fmt.Sprintf("priority %d-%d", s.From, s.To))
	}
	return strings.Join(parts, ", ")
}

// Covers reports whether a message is among those that a selector means.
func (s Selector) Covers(f HoldFacts) bool {
	p := PriorityOf(f.Priority)
	return (s.Account == "" || s.Account == f.Account) && (s.Tenant == "" || s.Tenant == f.Tenant) &&
		(s.From == 0 || s.From <= p && p <= s.To) && (s.Meta == "" || message.HasPair(f.Metadata, s.Meta))
}

// PriorityOf is a priority, or for 0 that of a batch that gives none.
func PriorityOf(p int) int { return cmp.Or(p, message.DefaultPriority) }

// Hold keeps messages from being sent until it is released.
type Hold struct {
	Selector
	// By is message.HeldByAccount, HeldByPerson, HeldByTenant or HeldBySuppression.
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	// Since and Until are Unix ms; Until 0 is no end.
	Since int64 `json:"since"`
	Until int64 `json:"until,omitempty"`
}

// Key tells a hold from others: there is one for each selector and whoever holds.
func (h *Hold) Key() string {
	s := &h.Selector
	return fmt.Sprintf("%s|%s|%s|%t|%d-%d|%s", h.By, s.Account, s.Tenant, s.All, s.From, s.To, s.Meta)
}

// Over reports whether a hold's time was over at a time in Unix ms.
func (h *Hold) Over(now int64) bool { return h.Until != 0 && h.Until <= now }

// Told is the hold as outcomes of attempts tell it.
func (h *Hold) Told() message.Holding {
	reason := h.Reason
	if reason == "" {
		reason = h.Selector.String() + " is held"
	}
	return message.Holding{
		By: h.By, Reason: message.Clip(reason, message.MaxDetail), Since: h.Since, Key: h.Key(),
		Account: h.Account != "" && h.Tenant == "" && h.Meta == "",
	}
}

// HoldChange adds a hold or releases some. It stands in histories.
type HoldChange struct {
	V int `json:"v"`
	// Hold is one that is added, or replaces one of the same key.
	Hold *Hold `json:"hold,omitempty"`
	// Release are the keys of those that end.
	Release []string `json:"release,omitempty"`
}

// Holds are all that there are, in the order in which they were made.
type Holds []Hold

// Apply makes a change. A hold that is there already keeps since when it holds.
func (h Holds) Apply(c HoldChange) Holds {
	h = slices.DeleteFunc(slices.Clone(h), func(x Hold) bool { return slices.Contains(c.Release, x.Key()) })
	if c.Hold == nil {
		return h
	}
	i := slices.IndexFunc(h, func(x Hold) bool { return x.Key() == c.Hold.Key() })
	switch {
	case i >= 0:
		since, reason := h[i].Since, h[i].Reason
		h[i] = *c.Hold
		h[i].Since, h[i].Reason = since, cmp.Or(c.Hold.Reason, reason)
	case len(h) < MaxHolds:
		h = append(h, *c.Hold)
	}
	return h
}

// Has reports whether there is a hold of a key.
func (h Holds) Has(key string) bool {
	return slices.ContainsFunc(h, func(x Hold) bool { return x.Key() == key })
}

// Current are those whose time was not over at a time in Unix ms.
func (h Holds) Current(now int64) Holds {
	return slices.DeleteFunc(slices.Clone(h), func(x Hold) bool { return x.Over(now) })
}

// AwaitReleaseInput asks to wait for the end of a hold. It stands in histories.
type AwaitReleaseInput struct {
	V       int             `json:"v"`
	Account string          `json:"account"`
	Held    message.Holding `json:"held"`
}

// AwaitReleaseResult says why the waiting ended. With neither it shall go on.
type AwaitReleaseResult struct {
	V int `json:"v"`
	// Released: the hold is over. Probe: one message may find out whether the account
	// still holds itself.
	Released bool `json:"released,omitempty"`
	Probe    bool `json:"probe,omitempty"`
}
