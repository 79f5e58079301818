package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/internal/message"
	"volley/starter"
)

// rightOf is what a control of a batch needs; empty is that there is no such control.
func rightOf(control string, f filter) access.Right {
	switch control {
	case "pause", "resume", "reschedule":
		return access.Control
	case "cancel":
		if f.To != "" || f.Reference != "" {
			return access.CancelPerson
		}
		return access.Control
	case "redrive":
		return access.Redrive
	}
	return ""
}

// mayControl says why the person may not control a batch; nil is that they may. Who has
// not the right for all batches has it for those that they started.
func (c *Console) mayControl(v *visit, control string, f filter) error {
	right := rightOf(control, f)
	switch {
	case right == "":
		return errNoPage
	case !v.person.May(right):
		return &notAllowedError{v.person}
	case right != access.Control || v.person.May(access.ControlAll):
		return nil
	}
	b, err := c.o.Batches.Accepted(v.Context(), v.ref())
	switch {
	case err != nil:
		return err
	case startedBy(b) != v.person.Name:
		return &wrongError{"only an operator, or whoever started it, controls this batch"}
	}
	return nil
}

// askControl asks before a control of a batch.
func (c *Console) askControl(v *visit) (*view, error) {
	f := filterOf(v.URL.Query())
	if err := c.mayControl(v, v.PathValue("action"), f); err != nil {
		return nil, err
	}
	return c.controlQuestion(v, f, v.URL.Query(), "")
}

func (c *Console) controlQuestion(v *visit, f filter, given url.Values, wrong string) (*view, error) {
	ref := v.ref()
	st, err := c.o.Batches.Status(v.Context(), ref)
	if err != nil {
		return nil, err
	}
	name := c.campaignOf(ref.ID, st.Metadata)
	ask := question{Post: v.URL.Path, Back: batchPath(ref.Tenant, ref.ID), Wrong: wrong}
	for key, value := range f.values() {
		ask.Hidden = append(ask.Hidden, pair{key, value[0]})
	}
	slices.SortFunc(ask.Hidden, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	open := 0
	if st.Counts != nil {
		open = st.Counts.Open()
	}
	switch v.PathValue("action") {
	case "pause":
		ask.Title, ask.Yes = "Pause "+name, "Pause"
		ask.Asks = fmt.Sprintf("Pause %s, of which %s %s not ended?", name, message.Plural(open, "message"), message.Verb(open, "has", "have"))
		ask.Notes = []string{"Nothing leaves until it is resumed. Validity runs on."}
	case "resume":
		ask.Title, ask.Yes = "Resume "+name, "Resume"
		ask.Asks = fmt.Sprintf("Resume %s, of which %s %s sent?", name, message.Plural(open, "message"), message.Verb(open, "is then", "are then"))
	case "reschedule":
		ask.Title, ask.Yes = "Move "+name, "Move"
		ask.Asks = fmt.Sprintf("Move %s, of which up to %s %s not been tried, to another time?", name, message.Plural(open, "message"), message.Verb(open, "has", "have"))
		ask.Fields = timeFields(given, v.now)
	case "cancel":
		n, err := c.chosen(v, f, open, func(s message.State) bool { return !s.Final() })
		if err != nil {
			return nil, err
		}
		ask.Title, ask.Yes, ask.Danger = "Cancel "+name, "Cancel "+message.Plural(n, "message"), true
		ask.Asks = fmt.Sprintf("Cancel %s of %s that %s not ended?", message.Plural(n, "message"), name, message.Verb(n, "has", "have"))
		ask.Notes = append(chosenNote(f), "What has left is followed to its end. This cannot be undone, but sent again.")
		ask.Fields = []field{{Name: "reason", Label: "Why", Hint: "for the log", Value: given.Get("reason"), Type: "text"}}
	case "redrive":
		if err := c.redriveQuestion(v, &ask, f, &st, name, given); err != nil {
			return nil, err
		}
	}
	out := &view{Page: "question", Title: ask.Title, Data: ask}
	if wrong != "" {
		out.Status, out.err = http.StatusUnprocessableEntity, &wrongError{wrong}
	}
	return out, nil
}

func chosenNote(f filter) []string {
	if !f.Any() {
		return nil
	}
	return []string{"Only " + f.Text() + "."}
}

// chosen is how many messages a filter chooses that are in a state; without a filter all.
func (c *Console) chosen(v *visit, f filter, all int, in func(message.State) bool) (n int, err error) {
	if !f.Any() {
		return all, nil
	}
	ctx, cancel := context.WithTimeout(v.Context(), chooseWithin)
	defer cancel()
	for row, err := range c.o.Batches.Results(ctx, v.ref(), starter.ResultQuery{State: f.State, Code: f.Code, Selector: f.Selector}) {
		if err != nil {
			return 0, err
		}
		if in(row.State) {
			n++
		}
	}
	return n, nil
}

// chooseWithin bounds how long messages are chosen for a question.
const chooseWithin = 20 * time.Second

// timeFields are a time and its zone.
func timeFields(given url.Values, now time.Time) []field {
	zone := given.Get("zone")
	if zone == "" {
		zone = now.Location().String()
	}
	return []field{
		{Name: "at", Label: "When", Hint: "empty: now", Value: given.Get("at"), Type: "datetime-local"},
		{Name: "zone", Label: "Time zone", Hint: "such as Europe/Berlin", Value: zone, Type: "text"},
	}
}

// timeIn reads a time of a form in its zone; zero is none.
func timeIn(given url.Values) (time.Time, error) {
	text := strings.TrimSpace(given.Get("at"))
	if text == "" {
		return time.Time{}, nil
	}
	name := strings.TrimSpace(given.Get("zone"))
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return time.Time{}, &wrongError{"there is no time zone " + strconv.Quote(message.Clip(name, 60)) + ", expected one such as Europe/Berlin"}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &wrongError{"the time cannot be read, expected one such as 2026-12-01 09:00"}
}

// checkNumber compares what was typed in with a number of messages.
func checkNumber(typed string, n int) error {
	typed = strings.NewReplacer(",", "", ".", "", " ", "", "\u00a0", "", "\u202f", "").Replace(strings.TrimSpace(typed))
	if typed != strconv.Itoa(n) {
		return &wrongError{"type in the number of messages, " + message.Number(n) + ", so that it is clear that they are meant"}
	}
	return nil
}

// doControl does what was asked for.
func (c *Console) doControl(v *visit) (*view, error) {
	ref, f := v.ref(), filterOf(v.PostForm)
	control := v.PathValue("action")
	v.begins(control)
	audit.Of(v.Context()).Set(func(e *audit.Entry) { e.Tenant, e.Batch = ref.Tenant, ref.ID })
	if err := c.mayControl(v, control, f); err != nil {
		if errors.Is(err, errNoPage) {
			v.begins("")
		}
		return nil, err
	}
	defer c.statuses.forget(ref)
	defer c.snapshots.forget(struct{}{})
	back := batchPath(ref.Tenant, ref.ID)
	ctx := v.Context()
	switch control {
	case "pause":
		res, err := c.changes.Pause(ctx, ref)
		return answered("Paused", back, res.Batch, err, inFlightText(len(res.InFlight)))
	case "resume":
		res, err := c.changes.Resume(ctx, ref)
		return answered("Resumed", back, res.Batch, err, "It goes on.")
	case "reschedule":
		at, err := timeIn(v.PostForm)
		if err != nil {
			return c.controlQuestion(v, f, v.PostForm, sentence(err))
		}
		if at.IsZero() {
			at = v.now
		}
		res, err := c.changes.Reschedule(ctx, ref, message.RescheduleRequest{SendAfter: at.UTC().Format(time.RFC3339)})
		return answered("Moved", back, res.Batch, err, fmt.Sprintf("%s now due %s, %s unchanged.", isAre(res.Rescheduled), v.When(at), isAre(res.Unchanged)))
	case "cancel":
		return c.cancel(v, ref, f, back)
	}
	return c.redrive(v, ref, f)
}

func isAre(n int) string { return message.Plural(n, "message") + " " + message.Verb(n, "is", "are") }

func inFlightText(n int) string {
	if n == 0 {
		return "Nothing is under way."
	}
	return message.Plural(n, "message") + " had left and " + message.Verb(n, "is", "are") + " followed to the end."
}

// answered is what a control brought. One that no worker has confirmed is recorded.
func answered(title, back, batch string, err error, note string) (*view, error) {
	if err != nil && batch != "" && errors.Is(err, starter.ErrNoWorker) {
		return done("Recorded", back, "Back to the batch", "No worker has confirmed it yet. The next one does it first."), nil
	}
	if err != nil {
		return nil, err
	}
	return done(title, back, "Back to the batch", note), nil
}

// cancel cancels a batch, or what a filter chooses of it.
func (c *Console) cancel(v *visit, ref starter.Ref, f filter, back string) (*view, error) {
	q := message.CancelRequest{Reason: strings.TrimSpace(v.PostForm.Get("reason"))}
	if f.Any() {
		ids, err := c.changes.Select(v.Context(), ref, starter.ResultQuery{State: f.State, Code: f.Code, Selector: f.Selector})
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, &wrongError{"no message is meant, nothing was canceled"}
		}
		q.Messages = ids
	}
	if name := v.PostForm.Get("message"); name != "" {
		q.Messages = []string{name}
	}
	res, err := c.changes.Cancel(v.Context(), ref, q)
	n := res.Counts
	return answered("Canceled", back, res.Batch, err, fmt.Sprintf("%s canceled, %s sent before, %s under way and followed to the end, %s ended before.",
		isAre(n.Canceled), message.Number(n.Sent), message.Number(n.InFlight), message.Number(n.Ended)))
}

// startedBy is the person who started a batch; empty is nobody whom people know.
func startedBy(b *message.Batch) string { return b.StartedBy }
