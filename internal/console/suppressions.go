package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/person"
	"volley/internal/suppression"
)

// Persons is what the console does about one person; a person.Service is one.
type Persons interface {
	Suppress(ctx context.Context, all []index.Suppression) (person.Suppressed, error)
	Unsuppress(ctx context.Context, tenant string, recipients []string) (int, error)
	Suppressions(ctx context.Context, q index.SuppressionQuery) ([]index.Suppression, string, error)
	Forget(ctx context.Context, q person.Query, dryRun bool) (*person.Forgotten, error)
	Export(ctx context.Context, q person.Query, now time.Time) (*person.Export, error)
}

// everybody is the suppression list of all tenants, as a form names it.
const everybody = "*"

// suppressionsData is a page of a suppression list.
type suppressionsData struct {
	Lines []suppressionLine
	// Lists are those that may be chosen, List the one that is shown.
	Lists []suppressionList
	List  string
	// Next is where the next page begins, Cursor where this one does; empty is at the newest.
	Next, Cursor string
	// CanCheck and CanChange are what the person may do.
	CanCheck, CanChange bool
	// Checked is the recipient that was asked about, Found the entries that concern it.
	Checked string
	Found   []suppressionLine
	// Wrong is what was wrong with what was given.
	Wrong string
	// Given is what was given for a new entry.
	Given url.Values
}

// suppressionList is one that may be chosen.
type suppressionList struct{ Value, Title string }

// suppressionLine is one entry.
type suppressionLine struct {
	Recipient, Reason, Source, By string
	At, Until                     time.Time
	// Everybody means that it counts for all tenants.
	Everybody bool
	// Remove is where it is taken off; empty is that the person may not.
	Remove string
}

// persons is what does things about one person, or why there is nothing.
func (c *Console) persons() (Persons, error) {
	if c.o.Persons == nil {
		return nil, errNoIndex
	}
	return c.o.Persons, nil
}

// listsOf are the suppression lists that a person may see.
func (c *Console) listsOf(p access.Person) (all []suppressionList) {
	for _, t := range c.o.Callers {
		if p.Sees(t.Tenant) {
			all = append(all, suppressionList{t.Tenant, t.Tenant})
		}
	}
	if p.Tenants == nil && p.May(access.Suppress) {
		all = append(all, suppressionList{everybody, "everybody"})
	}
	return all
}

// list is the one of a request, by default the first; the tenant of everybody's is empty.
func (c *Console) list(v *visit, given string) (name, tenant string, err error) {
	lists := c.listsOf(v.person)
	if given == "" && len(lists) > 0 {
		given = lists[0].Value
	}
	if !slices.ContainsFunc(lists, func(l suppressionList) bool { return l.Value == given }) {
		return "", "", &wrongError{"there is no such list"}
	}
	if given == everybody {
		return given, "", nil
	}
	return given, given, nil
}

// suppressionsPage shows who wants no messages, and whether one recipient is among them.
func (c *Console) suppressionsPage(v *visit) (*view, error) {
	return c.showSuppressions(v, v.URL.Query(), "")
}

func (c *Console) showSuppressions(v *visit, q url.Values, wrong string) (*view, error) {
	persons, err := c.persons()
	if err != nil {
		return nil, err
	}
	name, tenant, err := c.list(v, q.Get("list"))
	if err != nil {
		return nil, err
	}
	d := suppressionsData{
		Lists: c.listsOf(v.person), List: name, Cursor: q.Get("cursor"), Wrong: wrong, Given: q,
		CanCheck: v.person.May(access.Find), CanChange: v.person.May(access.Suppress),
	}
	if text := strings.TrimSpace(q.Get("check")); text != "" && d.CanCheck {
		if d.Checked, err = suppression.Recipient(text, c.caller(tenant).Region); err != nil {
			d.Checked, d.Wrong = "", sentence(err)
		} else if d.Found, _, err = c.suppressionLines(v, name, persons, index.SuppressionQuery{Tenants: []string{tenant, ""}, Recipient: d.Checked}); err != nil {
			return nil, err
		}
	}
	if d.Lines, d.Next, err = c.suppressionLines(v, name, persons, index.SuppressionQuery{Tenants: []string{tenant}, Limit: 50, Cursor: d.Cursor}); err != nil {
		return nil, err
	}
	out := &view{Page: "suppressions", Title: "Suppressions", Data: d}
	if wrong != "" {
		out.Status, out.err = http.StatusUnprocessableEntity, &wrongError{wrong}
	}
	return out, nil
}

func (c *Console) suppressionLines(v *visit, list string, persons Persons, q index.SuppressionQuery) (lines []suppressionLine, next string, err error) {
	all, next, err := persons.Suppressions(v.Context(), q)
	for i := range all {
		lines = append(lines, c.suppressionLine(v, list, &all[i]))
	}
	return lines, next, err
}

// suppressionLine is an entry as the person may see it: why and by whom one of everybody's
// is there is an operator's.
func (c *Console) suppressionLine(v *visit, list string, s *index.Suppression) suppressionLine {
	p := v.person
	l := suppressionLine{
		Recipient: p.Mask(s.Recipient), Reason: p.MaskText(s.Reason), Source: p.MaskText(s.Source), By: p.MaskText(s.By),
		At: s.At, Until: s.Until, Everybody: s.Tenant == "",
	}
	if s.Recipient == "" {
		l.Recipient = "forgotten"
		if p.May(access.Suppress) {
			l.Recipient += ", " + s.Key
		}
	}
	if own := p.Tenants == nil && p.May(access.Suppress); l.Everybody && !own {
		l.Reason, l.Source, l.By = "", "", ""
	} else if p.May(access.Suppress) {
		if l.Everybody {
			list = everybody
		}
		l.Remove = "/suppressions/remove?" + url.Values{"list": {list}, "recipient": {cmp.Or(s.Recipient, s.Key)}}.Encode()
	}
	return l
}

// askSuppression asks before somebody comes onto the list, or leaves it.
func (c *Console) askSuppression(v *visit) (*view, error) {
	q := v.URL.Query()
	if v.PathValue("action") == "remove" {
		return c.removeQuestion(v, q)
	}
	return c.addQuestion(v, q, "")
}

func (c *Console) addQuestion(v *visit, q url.Values, wrong string) (*view, error) {
	if v.PathValue("action") != "add" {
		return nil, errNoPage
	}
	if _, err := c.persons(); err != nil {
		return nil, err
	}
	name, tenant, err := c.list(v, q.Get("list"))
	if err != nil {
		return nil, err
	}
	recipient, err := suppression.Recipient(q.Get("recipient"), c.caller(tenant).Region)
	if err != nil {
		return c.showSuppressions(v, q, sentence(err))
	}
	ask := question{
		Title: "Never write to " + recipient + " again", Post: "/suppressions/add", Yes: "Never write to them again", Danger: true, Wrong: wrong,
		Back: "/suppressions?list=" + queryEscape(name), Hidden: []pair{{"list", name}, {"recipient", recipient}},
		Asks: "Never write to " + recipient + " again? " + c.waitingText(v, tenant, []string{recipient}),
		Notes: []string{
			"From then on their messages are rejected, also those of batches to come. What has left is followed to its end.",
			"It is in force everywhere two seconds later.",
		},
		Fields: []field{
			{Name: "reason", Label: "Why", Hint: "shown in the list", Value: q.Get("reason"), Type: "text"},
			{Name: "until", Label: "Until", Hint: "such as 90d or 2027-01-31; empty: for ever", Value: q.Get("until"), Type: "text"},
		},
	}
	if name == everybody {
		ask.Notes = append(ask.Notes, "It counts for all tenants.")
	}
	return questionPage(ask), nil
}

// questionPage shows a question; one with what was wrong is a refusal.
func questionPage(ask question) *view {
	out := &view{Page: "question", Title: ask.Title, Data: ask}
	if ask.Wrong != "" {
		out.Status, out.err = http.StatusUnprocessableEntity, &wrongError{ask.Wrong}
	}
	return out
}

const (
	// countedFor is of how many recipients the waiting messages are counted for a question,
	// and mostCounted up to how many of each.
	countedFor  = 50
	mostCounted = 500
)

// waitingText says how many waiting messages a suppression cancels.
func (c *Console) waitingText(v *visit, tenant string, recipients []string) string {
	if c.o.Index == nil || len(recipients) > countedFor {
		return "What waits for them is canceled."
	}
	n, more := 0, false
	for _, recipient := range recipients {
		page, err := c.o.Index.Find(v.Context(), index.FindQuery{Tenant: tenant, To: recipient, States: openMessageStates(), Limit: mostCounted})
		if err != nil {
			return "What waits for them is canceled."
		}
		n, more = n+len(page.Messages), more || page.Next != ""
	}
	switch {
	case more:
		return "Over " + message.Plural(n, "message") + " that wait for them are canceled."
	case n == 0:
		return "No message waits for them."
	}
	return fmt.Sprintf("%s that %s for them %s canceled.", message.Plural(n, "message"), message.Verb(n, "waits", "wait"), message.Verb(n, "is", "are"))
}

func openMessageStates() []message.State {
	return slices.DeleteFunc(message.States(), message.State.Final)
}

func (c *Console) removeQuestion(v *visit, q url.Values) (*view, error) {
	name, _, err := c.list(v, q.Get("list"))
	if err != nil {
		return nil, err
	}
	recipient := strings.TrimSpace(q.Get("recipient"))
	if recipient == "" {
		return nil, &wrongError{"say who is to be taken off the list"}
	}
	ask := question{
		Title: "Take " + recipient + " off the list", Post: "/suppressions/remove", Yes: "Take off the list", Back: "/suppressions?list=" + queryEscape(name),
		Hidden: []pair{{"list", name}, {"recipient", recipient}}, Asks: "Write to " + recipient + " again?",
		Notes: []string{"What was rejected or canceled stays so."},
	}
	return questionPage(ask), nil
}

// doSuppression puts somebody on the list, or takes them off.
func (c *Console) doSuppression(v *visit) (*view, error) {
	persons, err := c.persons()
	if err != nil {
		return nil, err
	}
	switch v.PathValue("action") {
	case "add":
		return c.addSuppression(v, persons)
	case "remove":
		return c.removeSuppression(v, persons)
	case "import":
		return c.importSuppressions(v, persons)
	}
	return nil, errNoPage
}

func (c *Console) addSuppression(v *visit, persons Persons) (*view, error) {
	name, tenant, recipient, err := c.onList(v, audit.ActionSuppressAdd)
	if err != nil {
		return nil, err
	}
	until, err := untilIn(v.PostForm.Get("until"), v.now)
	if err != nil {
		return c.addQuestion(v, v.PostForm, sentence(err))
	}
	res, err := persons.Suppress(v.Context(), []index.Suppression{{
		Tenant: tenant, Recipient: recipient, Reason: strings.TrimSpace(v.PostForm.Get("reason")), Source: audit.ThroughConsole, Until: until, By: v.person.Name,
	}})
	return c.suppressed(v, name, 1, res, err)
}

// onList is whom a form is about, and on whose list, and notes an action that concerns them.
func (c *Console) onList(v *visit, action string) (name, tenant, recipient string, err error) {
	v.begins(action)
	if name, tenant, err = c.list(v, v.PostForm.Get("list")); err != nil {
		return "", "", "", err
	}
	noteList(v, tenant)
	if recipient, err = suppression.Recipient(v.PostForm.Get("recipient"), c.caller(tenant).Region); err != nil {
		return "", "", "", &wrongError{err.Error()}
	}
	return name, tenant, recipient, nil
}

// suppressed says what came of a change of the list.
func (c *Console) suppressed(v *visit, list string, n int, res person.Suppressed, err error) (*view, error) {
	counts := map[string]int{"recipients": n, "added": res.Added}
	if res.Canceled != nil {
		counts["canceled"], counts["unreached"] = res.Canceled.Messages, res.Canceled.Unreached
	}
	noteCounts(v, counts)
	if err != nil {
		return nil, err
	}
	notes := []string{message.Plural(res.Added, "recipient") + " " + message.Verb(res.Added, "is", "are") + " new on the list, " + message.Number(n-res.Added) + " had been there."}
	if n == 1 {
		notes = []string{"It is in force everywhere."}
	}
	return done("On the suppression list", "/suppressions?list="+queryEscape(list), "See the list", append(notes, canceledText(res.Canceled)...)...), nil
}

// canceledText says what became of what waited for somebody.
func canceledText(n *person.Canceled) (notes []string) {
	if n == nil {
		return []string{"What waits for them is rejected when its turn comes."}
	}
	notes = append(notes, fmt.Sprintf("%s canceled in %s, %s under way and followed to the end.", isAre(n.Messages), batchCount(n.Batches), message.Number(n.InFlight)))
	if n.Unreached > 0 {
		notes = append(notes, batchCount(n.Unreached)+" did not answer: what waits there is rejected when its turn comes.")
	}
	return notes
}

func batchCount(n int) string {
	if n == 1 {
		return "1 batch"
	}
	return message.Number(n) + " batches"
}

func (c *Console) removeSuppression(v *visit, persons Persons) (*view, error) {
	name, tenant, recipient, err := c.onList(v, audit.ActionSuppressRemove)
	if err != nil {
		return nil, err
	}
	n, err := persons.Unsuppress(v.Context(), tenant, []string{recipient})
	noteCounts(v, map[string]int{"removed": n})
	if err != nil {
		return nil, err
	}
	back := "/suppressions?list=" + queryEscape(name)
	if n == 0 {
		return done("Not on the list", back, "See the list", "They were not on this list, so nothing has changed."), nil
	}
	return done("Taken off the list", back, "See the list", "Messages to them are sent again."), nil
}

// noteList notes in the audit log whose list was changed.
func noteList(v *visit, tenant string) {
	audit.Of(v.Context()).Set(func(e *audit.Entry) { e.Tenant = tenant })
}

// noteCounts adds numbers to the line of the audit log.
func noteCounts(v *visit, counts map[string]int) {
	audit.Of(v.Context()).Set(func(e *audit.Entry) { e.AddCounts(counts) })
}

// untilIn reads when an entry ends: a day, a duration from now or a time; zero is never.
func untilIn(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.ParseInLocation(time.DateOnly, text, now.Location())
	if err != nil {
		at, err = message.ParseTime(text, now)
	}
	if err != nil || !at.After(now) {
		return time.Time{}, &wrongError{"until has to be a day to come such as 2027-01-31, or a duration such as 90d"}
	}
	return at, nil
}
