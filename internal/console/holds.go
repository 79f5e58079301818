package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"volley/internal/audit"
	"volley/internal/message"
	"volley/starter"
)

// question is what is asked before something is done.
type question struct {
	Title string
	// Asks is the question, and Notes are what a person should know before.
	Asks  string
	Notes []string
	// Post is where the form goes, Yes its button, Back where no leads.
	Post, Yes, Back string
	Danger          bool
	// Hidden are values that the form carries.
	Hidden []pair
	// Fields are what can be given.
	Fields []field
	// Number is what has to be typed in; 0 is nothing.
	Number int
	// Wrong is what was wrong with what was given.
	Wrong string
}

type pair struct{ Name, Value string }

// field is an input of a form.
type field struct {
	Name, Label, Hint, Value, Type string
}

// selectorOf reads what a hold is about.
func selectorOf(q url.Values) (s starter.Selector, err error) {
	s = starter.Selector{Account: q.Get("account"), Tenant: q.Get("tenant"), Meta: q.Get("meta"), All: q.Get("all") == "true"}
	if s.From, s.To, err = message.ParsePriorities(q.Get("priority")); err != nil {
		return s, &wrongError{"priority " + err.Error()}
	}
	if err := s.Check(); err != nil {
		return s, &wrongError{err.Error()}
	}
	return s, nil
}

// errAsked ends a release that only asks how many messages would leave.
var errAsked = errors.New("asked")

// askHold asks whether to hold or to release.
func (c *Console) askHold(v *visit) (*view, error) {
	return c.holdQuestion(v, v.URL.Query(), "")
}

func (c *Console) holdQuestion(v *visit, q url.Values, wrong string) (*view, error) {
	s, err := selectorOf(q)
	if err != nil {
		return nil, err
	}
	ask := question{Post: v.URL.Path, Back: "/accounts", Wrong: wrong}
	for name, value := range selectorQuery(s) {
		ask.Hidden = append(ask.Hidden, pair{name, value[0]})
	}
	what := strings.TrimSuffix(strings.TrimSuffix(heldWhat(s), " is"), " are")
	switch v.PathValue("action") {
	case "hold":
		ask.Title, ask.Yes, ask.Danger = "Hold "+what, "Hold", true
		ask.Asks = "Hold " + what + "?"
		if n, known := c.waitingFor(v.Context(), s); known {
			ask.Asks = "Hold " + what + ", for which " + message.Plural(n, "message") + " " + message.Verb(n, "waits", "wait") + "?"
		}
		ask.Notes = []string{"Nothing leaves until it is released, also of what comes later. Validity runs on. What is with workers is followed to its end."}
		ask.Fields = []field{
			{Name: "reason", Label: "Why", Hint: "shown wherever it is held", Value: q.Get("reason"), Type: "text"},
			{Name: "for", Label: "For", Hint: "ends by itself, such as 30m, 2h or 3d; empty: until somebody releases it", Value: q.Get("for"), Type: "text"},
		}
	case "release":
		ask.Title, ask.Yes = "Release "+what, "Release"
		ask.Asks = "Release " + what + "?"
		var n starter.HeldMessages
		_, err := c.o.Batches.Release(v.Context(), starter.ReleaseRequest{Selector: s, Ask: func(_ context.Context, m starter.HeldMessages) error {
			n = m
			return errAsked
		}})
		if err != nil && !errors.Is(err, errAsked) {
			return nil, err
		}
		ask.Notes = []string{leavingText(n)}
		if n.Known && !n.Partial {
			ask.Asks = "Release " + what + ", of which " + message.Plural(n.Leaving, "message") + " " + message.Verb(n.Leaving, "leaves", "leave") + " now?"
			if c.o.ConfirmAbove > 0 && n.Leaving > c.o.ConfirmAbove {
				ask.Number = n.Leaving
			}
		}
	default:
		return nil, errNoPage
	}
	out := &view{Page: "question", Title: ask.Title, Data: ask}
	if wrong != "" {
		out.Status, out.err = http.StatusUnprocessableEntity, &wrongError{wrong}
	}
	return out, nil
}

// leavingText says how many messages leave at a release, and how late.
func leavingText(n starter.HeldMessages) string {
	switch {
	case !n.Known:
		return "How many leave now is not known, since no worker answered."
	case n.Leaving == 0:
		return "None leaves now."
	}
	text := message.Plural(n.Leaving, "message") + " " + message.Verb(n.Leaving, "leaves", "leave") + " now"
	if n.Partial {
		text = "At least " + text
	}
	if n.Late > 0 {
		text += ", up to " + span(n.Late) + " late"
	}
	return text + "."
}

// waitingFor is how many messages wait that a hold would keep back, where that is known
// without asking.
func (c *Console) waitingFor(ctx context.Context, s starter.Selector) (int, bool) {
	now, err := c.snapshots.get(ctx, struct{}{}, "")
	if err != nil || s != (starter.Selector{Account: s.Account}) {
		return 0, false
	}
	for _, a := range now.Accounts {
		if a.Name == s.Account {
			return a.Waiting, true
		}
	}
	return 0, false
}

// doHold holds or releases.
func (c *Console) doHold(v *visit) (*view, error) {
	s, err := selectorOf(v.PostForm)
	if err != nil {
		return nil, err
	}
	defer c.snapshots.forget(struct{}{})
	switch v.PathValue("action") {
	case "hold":
		v.begins(audit.ActionHold)
		q := starter.HoldRequest{Selector: s, Reason: strings.TrimSpace(v.PostForm.Get("reason"))}
		if text := strings.TrimSpace(v.PostForm.Get("for")); text != "" {
			d, err := message.ParseDuration(text)
			if err != nil || d <= 0 {
				return c.holdQuestion(v, v.PostForm, "For has to be a duration such as 30m, 2h or 3d.")
			}
			q.Until = v.now.Add(d)
		}
		res, err := c.changes.Hold(v.Context(), q)
		if err != nil {
			return nil, err
		}
		return done("Held", "/accounts", "See the accounts", heldText(res.Messages)), nil
	case "release":
		v.begins(audit.ActionRelease)
		var wrong error
		res, err := c.changes.Release(v.Context(), starter.ReleaseRequest{Selector: s, Ask: func(_ context.Context, n starter.HeldMessages) error {
			if c.o.ConfirmAbove > 0 && n.Known && !n.Partial && n.Leaving > c.o.ConfirmAbove {
				wrong = checkNumber(v.PostForm.Get("number"), n.Leaving)
			}
			return wrong
		}})
		if wrong != nil {
			return c.holdQuestion(v, v.PostForm, sentence(wrong))
		}
		if err != nil {
			return nil, err
		}
		return done("Released", "/", "See how it goes", leavingText(res.Messages)), nil
	}
	return nil, errNoPage
}

func heldText(n starter.HeldMessages) string {
	if !n.Known {
		return "How many messages wait is not known, since no worker answered."
	}
	text := message.Plural(n.Waiting, "message") + " " + message.Verb(n.Waiting, "waits", "wait") + "."
	if n.Partial {
		text = "At least " + text
	}
	if n.Sending > 0 {
		text += " " + message.Plural(n.Sending, "other") + " " + message.Verb(n.Sending, "is", "are") + " with workers, and " + message.Verb(n.Sending, "waits", "wait") + " if it has not left."
	}
	return text
}

// doneData says what was done.
type doneData struct {
	Notes    []string
	To, Then string
}

// done says what was done, and where to go from there.
func done(title, to, then string, notes ...string) *view {
	return &view{Page: "done", Title: title, Data: doneData{Notes: notes, To: to, Then: then}}
}

// begins names the action of the request in the audit log.
func (v *visit) begins(action string) {
	audit.Of(v.Context()).Set(func(e *audit.Entry) { e.Action = action })
}

// readToken reads the form of a request, and the token that came with it.
func (v *visit) readToken() {
	if v.given = v.Header.Get(tokenHeader); v.given != "" {
		return
	}
	most := int64(maxForm)
	if v.Pattern == "POST /suppressions/{action}" {
		most = 4 * maxList // a list has up to three times its size in a form
	}
	v.Body = http.MaxBytesReader(v.w, v.Body, most)
	err := v.ParseMultipartForm(most)
	if err == nil || errors.Is(err, http.ErrNotMultipart) && v.PostForm != nil {
		v.given = v.PostForm.Get(tokenField)
	}
}

// maxForm bounds a form without a file, in bytes.
const maxForm = 256 << 10
