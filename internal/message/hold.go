package message

import "time"

// CodeHeld is the code of a message that waits because it is held.
const CodeHeld = "held"

// Who holds messages back.
const (
	// HeldByAccount is an account that holds itself, after answers that concern it.
	HeldByAccount = "account"
	// HeldByPerson is an operator, HeldByTenant whoever has a tenant's key.
	HeldByPerson = "person"
	HeldByTenant = "tenant"
	// HeldBySuppression is a suppression list that cannot be read.
	HeldBySuppression = "suppression"
	// HeldByGuard is a batch that paused itself, since too much of it was refused.
	HeldByGuard = "guard"
)

// Holding is why messages are held back, as outcomes of attempts tell it. It stands in
// histories. The zero value is none.
type Holding struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Since is in Unix ms.
	Since int64 `json:"since,omitempty"`
	// Key names the hold among those of its kind.
	Key string `json:"key,omitempty"`
	// Account means that only the account is held, so that another one may send.
	Account bool `json:"account,omitempty"`
}

// HoldView is a Holding as callers see it.
type HoldView struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// View shows a hold; nil is none.
func (h Holding) View() *HoldView {
	if h.By == "" {
		return nil
	}
	return &HoldView{By: h.By, Reason: h.Reason, Since: time.UnixMilli(h.Since).UTC()}
}

// Hold lets a message wait that must not be sent now. Where only its account is held and
// it may take another, it moves on.
func (t Transition) Hold(h Holding) {
	switch {
	case t.delivered():
	case t.Stop:
		t.Cancel(t.Now, t.Detail)
	case t.MayMoveOn(h):
		t.onward()
	default:
		t.State, t.Doubt, t.Next, t.Code, t.Detail = Accepted, 0, t.Now, CodeHeld, Clip(h.Reason, MaxDetail)
	}
}

// MayMoveOn reports whether a message that is held back may take another account.
func (t Transition) MayMoveOn(h Holding) bool {
	return h.Account && t.Hop+1 < len(t.Hops) && t.Now < t.Expires && t.Unresolved == 0
}

// Unhold lets a message wait for its turn that was held back.
func (t Transition) Unhold() {
	if t.Code == CodeHeld {
		t.Code, t.Detail = "", ""
	}
}
