package console

import (
	"volley/internal/message"
)

// nowData is how all stands.
type nowData struct {
	*snapshot
	// Stale means that At is no longer now.
	Stale bool
}

// Well means that nothing is wrong.
func (d nowData) Well() bool { return len(d.Findings) == 0 }

// Late is how long the oldest message of an account waits.
func (d nowData) Late(a accountLine) bool {
	return !a.Oldest.IsZero() && d.At.Sub(a.Oldest) > lateAfter && a.Held == nil
}

// nowPage shows what is wrong, what goes on, and what leaves soon.
func (c *Console) nowPage(v *visit) (*view, error) {
	s, err := c.snapshots.get(v.Context(), struct{}{}, "")
	if err != nil {
		return nil, err
	}
	s = s.seenBy(v.person, c.mayUse(v.person))
	return &view{Page: "now", Title: nowTitle(s), Data: nowData{snapshot: s}, AsOf: s.At}, nil
}

// nowTitle is what a tab that is not looked at shows.
func nowTitle(s *snapshot) string {
	if n := len(s.Findings); n > 0 {
		return message.Plural(n, "thing") + " wrong"
	}
	return "All well"
}
