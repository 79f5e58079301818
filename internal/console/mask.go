package console

import (
	"slices"

	"volley/internal/access"
	"volley/internal/message"
)

// seenBy is a snapshot as a person may see it: without other tenants' batches, and, for
// who may not see recipients, without what looks like one.
func (s *snapshot) seenBy(p access.Person) *snapshot {
	if p.Tenants == nil && p.May(access.Unmask) {
		return s
	}
	out := *s
	out.Findings = slices.DeleteFunc(slices.Clone(s.Findings), func(f finding) bool { return f.Tenant != "" && !p.Sees(f.Tenant) })
	for i := range out.Findings {
		f := &out.Findings[i]
		f.What, f.Why = p.MaskText(f.What), p.MaskText(f.Why)
	}
	out.Running, out.Leaving = batchesSeenBy(p, s.Running), batchesSeenBy(p, s.Leaving)
	out.Accounts, out.Holds = slices.Clone(s.Accounts), slices.Clone(s.Holds)
	for i := range out.Accounts {
		a := &out.Accounts[i]
		a.Reasons = reasonsSeenBy(p, a.Reasons)
		if a.Held != nil {
			held := *a.Held
			held.Reason = p.MaskText(held.Reason)
			a.Held = &held
		}
	}
	for i := range out.Holds {
		out.Holds[i].Reason = p.MaskText(out.Holds[i].Reason)
	}
	return &out
}

func batchesSeenBy(p access.Person, all []openBatch) []openBatch {
	all = slices.DeleteFunc(slices.Clone(all), func(b openBatch) bool { return !p.Sees(b.Tenant) })
	for i := range all {
		all[i].Status, all[i].Campaign = p.MaskStatus(all[i].Status), p.MaskText(all[i].Campaign)
	}
	return all
}

func reasonsSeenBy(p access.Person, all message.Reasons) message.Reasons {
	all = slices.Clone(all)
	for i := range all {
		all[i].Detail = p.MaskText(all[i].Detail)
	}
	return all
}
