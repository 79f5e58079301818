package console

import (
	"cmp"
	"slices"

	"volley/internal/access"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// seenBy is a snapshot as a person may see it: without other tenants' batches, and, for
// who may not see recipients, without what looks like one.
// Whoever sees single tenants only is shown the accounts that these may use, and no figure to
// which others' messages add; may says which accounts.
func (s *snapshot) seenBy(p access.Person, may func(account string) bool) *snapshot {
	if p.Tenants == nil && p.May(access.Unmask) {
		return s
	}
	out := *s
	if p.Tenants != nil {
		out = s.without(may)
	}
	out.Findings = slices.DeleteFunc(slices.Clone(out.Findings), func(f finding) bool { return f.Tenant != "" && !p.Sees(f.Tenant) })
	for i := range out.Findings {
		f := &out.Findings[i]
		f.What, f.Why = p.MaskText(f.What), p.MaskText(f.Why)
	}
	out.Running, out.Leaving = batchesSeenBy(p, s.Running), batchesSeenBy(p, s.Leaving)
	out.Accounts, out.Holds = slices.Clone(out.Accounts), slices.Clone(out.Holds)
	out.Holds = slices.DeleteFunc(out.Holds, func(h starter.HoldDocument) bool { return h.Selector.Tenant != "" && !p.Sees(h.Selector.Tenant) })
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

// without is a snapshot without the accounts that somebody may not use, and without figures of
// all tenants together.
func (s *snapshot) without(may func(account string) bool) snapshot {
	out := *s
	out.Accounts, out.Holds, out.Findings = nil, nil, nil
	for _, a := range s.Accounts {
		if may(a.Name) {
			h := a.AccountHealth
			h.Used, h.Queued, h.InFlight, h.Errors = nil, nil, nil, []starter.AccountError{}
			out.Accounts = append(out.Accounts, accountLine{AccountHealth: h, ProviderName: a.ProviderName})
		}
	}
	for _, h := range s.Holds {
		if h.Account == "" || may(h.Account) {
			out.Holds = append(out.Holds, h)
		}
	}
	for _, f := range s.Findings {
		switch f.rank {
		case rankFailing, rankUnknown, rankNoReports: // they count all tenants' messages
			continue
		case rankNoWorker:
			if f.Tenant == "" { // it names all accounts
				continue
			}
		}
		if f.account == "" || may(f.account) {
			out.Findings = append(out.Findings, f)
		}
	}
	out.Findings = append(out.Findings, workerFindings(&out)...)
	slices.SortStableFunc(out.Findings, func(a, b finding) int { return cmp.Compare(a.rank, b.rank) })
	return out
}

// mayUse reports whether a person sees a tenant that may use an account.
func (c *Console) mayUse(p access.Person) func(account string) bool {
	return func(account string) bool {
		return slices.ContainsFunc(c.o.Callers, func(t intake.Caller) bool {
			return p.Sees(t.Tenant) && (t.Accounts == nil || slices.Contains(t.Accounts, account))
		})
	}
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
