package console

import (
	"slices"
	"time"

	"volley/internal/access"
	"volley/internal/message"
	"volley/starter"
)

// accountsData is how the accounts stand.
type accountsData struct {
	Accounts []accountView
	// Others are the holds of less or more than an account.
	Others []holdLine
	// CanHold means that the person may hold and release.
	CanHold bool
}

// accountView is one account.
type accountView struct {
	accountLine
	HoldPath, ReleasePath string
	// Until is when its hold ends by itself; nil is not.
	Until *time.Time
	// Failed are the reasons of its failures, the most frequent first.
	Failed []message.Reason
}

// holdLine is a hold of less or more than an account.
type holdLine struct {
	starter.HoldDocument
	What, ByWhom, Path string
}

// accountsPage shows who holds what, and how each account does.
func (c *Console) accountsPage(v *visit) (*view, error) {
	s, err := c.snapshots.get(v.Context(), struct{}{}, "")
	if err != nil {
		return nil, err
	}
	s = s.seenBy(v.person, c.mayUse(v.person))
	d := accountsData{CanHold: v.person.May(access.Hold)}
	for _, a := range s.Accounts {
		d.Accounts = append(d.Accounts, accountView{
			accountLine: a, Failed: a.Reasons, Until: s.heldUntil(a.Name),
			HoldPath: "/holds/hold?account=" + queryEscape(a.Name), ReleasePath: "/holds/release?account=" + queryEscape(a.Name),
		})
	}
	for _, h := range s.Holds {
		if h.Selector != (starter.Selector{Account: h.Account}) || h.Account == "" {
			d.Others = append(d.Others, holdLine{h, heldWhat(h.Selector), byWhom(h.By), releasePath(h.Selector)})
		}
	}
	return &view{Page: "accounts", Title: "Accounts", Data: d, AsOf: s.At}, nil
}

// heldUntil is when the hold of an account ends by itself; nil is not.
func (s *snapshot) heldUntil(account string) *time.Time {
	i := slices.IndexFunc(s.Holds, func(h starter.HoldDocument) bool {
		return h.Selector == starter.Selector{Account: account} || h.All && h.From == 0
	})
	if i < 0 {
		return nil
	}
	return s.Holds[i].Until
}
