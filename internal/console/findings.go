package console

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// finding is one thing that is wrong.
type finding struct {
	// Key tells it from others, the next time too.
	Key string
	// rank is how bad it is: lower is worse.
	rank int
	// Tone is bad, or warn where a person wanted it so.
	Tone      Tone
	What, Why string
	// Since is when it began, or, with Seen, when it was first seen.
	Since time.Time
	Seen  bool
	// Until is when it ends by itself; nil is not.
	Until *time.Time
	// Tenant is whose batch it is about; empty is more than one. account is the held one.
	Tenant, account string
	// Control is the one thing to do about it, at Path; only who May is shown it.
	Control, Path string
	May           access.Right
}

// The ranks.
const (
	rankUnreachable = iota
	rankNoWorker
	rankFault
	rankHeldItself
	rankFailing
	rankLate
	rankUnknown
	rankNoReports
	rankIndex
	rankHeldByPerson
)

const (
	// lateAfter is from when on a message that waits, while nothing of its batch leaves,
	// is late.
	lateAfter = time.Minute
	// failingShare of at least failingLeast messages is more than single recipients explain.
	failingShare = 0.1
	failingLeast = 10
)

// findingsOf are what is wrong, the worst first.
func findingsOf(s *snapshot, stats lateStats, unknown int) (all []finding) {
	all = append(all, heldFindings(s)...)
	all = append(all, workerFindings(s)...)
	for _, b := range s.Running {
		all = append(all, batchFindings(b, s)...)
	}
	all = append(all, failingFindings(s, stats)...)
	if unknown > 0 {
		all = append(all, finding{
			Key: "unknown", rank: rankUnknown, Tone: toneBad, Seen: true, May: access.Read, Control: "See the batches", Path: "/batches",
			What: "More messages are unknown", Why: message.Plural(unknown, "message") + " more left without an answer, and their providers cannot say whether they arrived",
		})
	}
	if stats.away {
		all = append(all, finding{Key: "index", rank: rankIndex, Tone: toneWarn, Seen: true, What: "The index does not answer", Why: "what it knows is missing here, sending goes on"})
	}
	slices.SortStableFunc(all, func(a, b finding) int { return cmp.Compare(a.rank, b.rank) })
	return all
}

func heldFindings(s *snapshot) (all []finding) {
	for _, h := range s.Holds {
		f := finding{
			Key: "held " + h.Selector.String(), rank: rankHeldByPerson, Tone: toneWarn, Since: h.Since, May: access.Hold, Control: "Release", Path: releasePath(h.Selector),
			Tenant: h.Selector.Tenant, account: h.Account, What: heldWhat(h.Selector) + " held", Why: byWhom(h.By) + ": " + cmp.Or(h.Reason, "no reason was given"),
		}
		if h.By == message.HeldByAccount {
			f.rank, f.Tone = rankHeldItself, toneBad
		}
		f.Until = h.Until
		all = append(all, f)
	}
	return all
}

// heldWhat names what a hold keeps back.
func heldWhat(s starter.Selector) string {
	var parts []string
	switch {
	case s.All:
		parts = append(parts, "Everything is")
	case s.Account != "" && s.Meta == "" && s.Tenant == "":
		parts = append(parts, s.Account+" is")
	default:
		var of []string
		for _, x := range []struct{ name, value string }{{"account ", s.Account}, {"tenant ", s.Tenant}, {"", s.Meta}} {
			if x.value != "" {
				of = append(of, x.name+x.value)
			}
		}
		parts = append(parts, "Messages of "+strings.Join(of, ", ")+" are")
	}
	if s.From > 0 {
		parts = append([]string{fmt.Sprintf("Priorities %d to %d:", s.From, s.To)}, parts...)
	}
	return strings.Join(parts, " ")
}

func byWhom(by string) string {
	switch by {
	case message.HeldByAccount:
		return "by itself"
	case message.HeldByTenant:
		return "by a tenant"
	case message.HeldByGuard:
		return "by its guard"
	}
	return "by a person"
}

// releasePath is where a hold is released.
func releasePath(s starter.Selector) string { return "/holds/release?" + selectorQuery(s).Encode() }

func selectorQuery(s starter.Selector) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"account": s.Account, "tenant": s.Tenant, "meta": s.Meta} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if s.All {
		q.Set("all", "true")
	}
	if s.From > 0 {
		q.Set("priority", fmt.Sprintf("%d-%d", s.From, s.To))
	}
	return q
}

// workerFindings are accounts that no worker serves.
func workerFindings(s *snapshot) (all []finding) {
	var none []string
	waiting := 0
	for _, a := range s.Accounts {
		if a.Workers == 0 {
			none = append(none, a.Name)
			waiting += a.Waiting
		}
	}
	if len(none) == 0 {
		return nil
	}
	f := finding{Key: "worker " + strings.Join(none, " "), rank: rankNoWorker, Tone: toneBad, Seen: true, May: access.Read, Control: "See the accounts", Path: "/accounts"}
	f.What = "No worker serves " + strings.Join(none[:min(len(none), 3)], ", ")
	if len(none) > 3 {
		f.What += " and " + message.Plural(len(none)-3, "other")
	}
	if len(none) == len(s.Accounts) {
		f.What = "No worker runs"
	}
	f.Why = "nothing of them leaves until `volley worker` runs"
	if waiting > 0 {
		f.Why = message.Plural(waiting, "message") + " wait, " + f.Why
	}
	return append(all, f)
}

// batchFindings are what keeps one batch.
func batchFindings(b openBatch, s *snapshot) (all []finding) {
	path := batchPath(b.Tenant, b.ID)
	add := func(f finding) {
		f.Key, f.Tenant = f.Key+" "+b.Tenant+"/"+b.ID, b.Tenant
		all = append(all, f)
	}
	served := slices.ContainsFunc(s.Accounts, func(a accountLine) bool { return a.Workers > 0 })
	switch {
	case b.NoWorker && served:
		add(finding{Key: "silent", rank: rankNoWorker, Tone: toneBad, Seen: true, What: "No worker answers for " + b.Campaign, Why: "how it goes is not known", May: access.Read, Control: "Open", Path: path})
	case b.Fault != "":
		add(finding{Key: "fault", rank: rankFault, Tone: toneBad, Seen: true, What: b.Campaign + " cannot go on", Why: b.Fault, May: access.Read, Control: "Open", Path: path})
	case b.Held != nil && b.Held.By == message.HeldByGuard:
		add(finding{Key: "guard", rank: rankHeldItself, Tone: toneBad, Since: b.Held.Since, What: b.Campaign + " paused itself", Why: b.Held.Reason, May: access.Control, Control: "Resume", Path: path + "/control/resume"})
	case b.State == message.BatchRunning && b.Held == nil && b.Counts != nil && b.Rate == 0 && b.Counts[message.Sending] == 0 &&
		!b.Oldest.IsZero() && s.At.Sub(b.Oldest) > lateAfter:
		add(finding{
			Key: "late", rank: rankLate, Tone: toneBad, Since: b.Oldest, What: b.Campaign + " is late", May: access.Read, Control: "Open", Path: path,
			Why: message.Plural(b.Counts[message.Accepted], "message") + " are due, and none leaves",
		})
	}
	return all
}

// failingFindings are accounts and countries of which much failed in the last hour, and
// those whose reports are missing. Without an index they are what open batches tell.
func failingFindings(s *snapshot, stats lateStats) (all []finding) {
	failing := func(kind, name string, bad, total int, why string) {
		if name == "" || total < failingLeast || float64(bad) < failingShare*float64(total) {
			return
		}
		f := finding{
			Key: "failing " + kind + name, rank: rankFailing, Tone: toneBad, Seen: true, May: access.Read, Control: "See the batches", Path: "/batches",
			What: fmt.Sprintf("%s of %s through %s failed", message.Number(bad), message.Number(total), name), Why: why,
		}
		if kind == "country" {
			f.What = fmt.Sprintf("%s of %s to %s failed", message.Number(bad), message.Number(total), name)
		} else {
			f.Control, f.Path, f.May = "Hold "+name, "/holds/hold?"+url.Values{"account": {name}}.Encode(), access.Hold
		}
		all = append(all, f)
	}
	if !stats.known {
		for _, a := range s.Accounts {
			total, bad := 0, 0
			for _, b := range s.Running {
				if b.Account == a.Name && b.Counts != nil {
					bad += badOf(*b.Counts)
					total += b.Total - b.Counts.Open()
				}
			}
			failing("account", a.Name, bad, total, "in the batches that run: "+mainReason(a.Reasons))
		}
		return all
	}
	for _, x := range stats.byAccount {
		failing("account", x.Key, badOf(x.Counts), x.Total, "in the last hour"+accountReason(s, x.Key))
		if x.NoReport >= failingLeast {
			all = append(all, missingReports(x))
		}
	}
	for _, x := range stats.byCountry {
		failing("country", x.Key, badOf(x.Counts), x.Total, "in the last hour")
	}
	return all
}

func missingReports(x index.Stat) finding {
	return finding{
		Key: "reports " + x.Key, rank: rankNoReports, Tone: toneBad, Seen: true, May: access.Read, Control: "See the accounts", Path: "/accounts",
		What: "Reports of " + x.Key + " are missing", Why: message.Plural(x.NoReport, "message") + " were sent over 24 h ago, and no report came",
	}
}

// badOf counts messages that did not get where they should.
func badOf(c message.Counts) int {
	return c[message.Failed] + c[message.Undelivered] + c[message.Expired]
}

func mainReason(all message.Reasons) string {
	if r := topReason(all); r != nil {
		return message.ReasonText(r.Code, r.Detail)
	}
	return "their reasons differ"
}

func accountReason(s *snapshot, name string) string {
	for _, a := range s.Accounts {
		if r := topReason(a.Reasons); a.Name == name && r != nil {
			return ": " + message.ReasonText(r.Code, r.Detail)
		}
	}
	return ""
}

// batchPath is where a batch is.
func batchPath(tenant, id string) string {
	return "/batches/" + url.PathEscape(cmp.Or(tenant, starter.DefaultTenant)) + "/" + url.PathEscape(id)
}
