package console

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"volley/internal/access"
	"volley/internal/message"
	"volley/starter"
)

// batchData is one batch, with a page of its messages.
type batchData struct {
	message.Status
	Line batchLine
	// NoWorker means that it cannot be asked now.
	NoWorker bool
	States   []stateCount
	Filter   filter
	Rows     []rowLine
	Next     string
	// NoRows is why there are none; empty is that there are.
	NoRows string
	Here   string
	// Old is the batch that this one sends again; empty is none.
	Old      string
	Controls []controlLink
	// Log are the newest actions on the batch, for who may see them; NoLog is why there are
	// none, and LogPath where all of them are.
	Log            []logLine
	NoLog, LogPath string
}

// stateCount is how many messages are in a state.
type stateCount struct {
	State   message.State
	Count   int
	Reasons []message.Reason
	Path    string
}

// rowLine is a message of the table.
type rowLine struct {
	message.Row
	Recipient, Ref string
	Path           string
}

// controlLink leads to the question of a control.
type controlLink struct {
	Name, Path string
	Danger     bool
}

// filter chooses messages, as the selectors of the commands do.
type filter struct {
	State, Code string
	message.Selector
}

// States are those that a filter can name.
func (filter) States() []string { return message.StateWords() }

// Any reports whether it chooses.
func (f filter) Any() bool { return f != filter{} }

// values are those that are not empty.
func (f filter) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"state": f.State, "code": f.Code, "to": f.To, "reference": f.Reference, "account": f.Account, "meta": f.Meta} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Query is the filter as the query of an address.
func (f filter) Query() string { return f.values().Encode() }

// Text names what it chooses.
func (f filter) Text() string {
	var parts []string
	for _, x := range []struct{ name, value string }{{"", f.State}, {"code ", f.Code}, {"to ", f.To}, {"reference ", f.Reference}, {"through ", f.Account}, {"with ", f.Meta}} {
		if x.value != "" {
			parts = append(parts, x.name+x.value)
		}
	}
	return strings.Join(parts, ", ")
}

// filterOf reads the filter of a page or a form.
func filterOf(q url.Values) filter {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return filter{State: get("state"), Code: get("code"), Selector: message.Selector{
		To: get("to"), Reference: get("reference"), Account: get("account"), Meta: get("meta"),
	}}
}

// batchPage shows a batch and a page of its messages. Neither counts anything.
func (c *Console) batchPage(v *visit) (*view, error) {
	ref := v.ref()
	actx, cancel := context.WithTimeout(v.Context(), askWithin)
	defer cancel()
	st, err := c.status(actx, ref)
	d := batchData{Filter: filterOf(v.URL.Query()), Here: v.URL.RequestURI()}
	if d.Filter.Any() && !v.person.May(access.Find) && (d.Filter.To != "" || d.Filter.Reference != "") {
		return nil, &notAllowedError{v.person}
	}
	switch {
	case errors.Is(err, starter.ErrNoWorker), err != nil && actx.Err() != nil && v.Context().Err() == nil:
		d.NoWorker = true
		st = message.Status{ID: ref.ID, Tenant: ref.Tenant, AsOf: v.now}
	case err != nil:
		return nil, err
	}
	st = v.person.MaskStatus(st)
	d.Status, d.Line = st, c.listedLine(&st)
	if st.RedriveOf != nil {
		d.Old = batchPath(ref.Tenant, *st.RedriveOf)
	}
	d.States = statesOf(&st, d.Line.Path)
	d.Controls = controlsOf(v.person, &st, d.Line.Path, d.Filter)
	c.readRows(actx, v, ref, &d)
	c.readLog(actx, v, ref, &d)
	return &view{Page: "batch", Title: d.Line.Campaign, Data: d, AsOf: asOf(&st, v)}, nil
}

// asOf is when an open batch was read; a closed one does not age.
func asOf(st *message.Status, v *visit) time.Time {
	if st.State.Closed() {
		return v.now
	}
	return st.AsOf
}

func (c *Console) readRows(ctx context.Context, v *visit, ref starter.Ref, d *batchData) {
	page, err := c.o.Batches.Messages(ctx, ref, message.PageQuery{
		State: d.Filter.State, Code: d.Filter.Code, Selector: d.Filter.Selector, Limit: 50, Cursor: v.URL.Query().Get("cursor"),
	})
	if err != nil {
		_, p := explain(err)
		d.NoRows = p.Text
		return
	}
	d.Next = page.Next
	for _, r := range page.Messages {
		r = v.person.MaskRow(r)
		l := rowLine{Row: r, Recipient: r.To}
		if v.person.May(access.Find) {
			l.Path = messagePath(ref.Tenant, ref.ID, r.Index)
		}
		if r.Reference != nil {
			l.Ref = *r.Reference
		}
		d.Rows = append(d.Rows, l)
	}
	if len(page.Messages) == 0 {
		d.NoRows = "No message is meant."
	}
}

// statesOf are the states that messages are in, with their reasons.
func statesOf(st *message.Status, path string) (all []stateCount) {
	if st.Counts == nil {
		return nil
	}
	for _, s := range message.States() {
		if st.Counts[s] == 0 {
			continue
		}
		x := stateCount{State: s, Count: st.Counts[s], Path: path + "?state=" + s.String()}
		for _, r := range st.Reasons {
			if r.State == s {
				x.Reasons = append(x.Reasons, r)
			}
		}
		all = append(all, x)
	}
	return all
}

// controlsOf are what the person may do with a batch as it stands.
func controlsOf(p access.Person, st *message.Status, path string, f filter) (all []controlLink) {
	add := func(may access.Right, name, what string, danger bool) {
		if p.May(may) {
			to := path + "/control/" + what
			if q := f.Query(); q != "" && (what == "cancel" || what == "redrive") {
				to += "?" + q
			}
			all = append(all, controlLink{name, to, danger})
		}
	}
	chosen := ""
	if f.Any() {
		chosen = " these"
	}
	switch st.State {
	case message.BatchRunning, message.BatchScheduled:
		add(access.Control, "Pause", "pause", false)
	case message.BatchPaused:
		add(access.Control, "Resume", "resume", false)
	}
	if !st.State.Closed() {
		add(access.Control, "Move to another time", "reschedule", false)
	}
	if counts := st.Counts; counts == nil || counts[message.Failed]+counts[message.Expired]+counts[message.Undelivered]+counts[message.Unknown]+counts[message.Canceled] > 0 {
		name := "Send again to those who did not get it"
		if f.Any() {
			name = "Send these again"
		}
		add(access.Redrive, name, "redrive", false)
	}
	if !st.State.Closed() {
		add(access.Control, "Cancel"+chosen, "cancel", true)
	}
	return all
}
