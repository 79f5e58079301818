package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"volley/internal/message"
)

// query reads the parameters of a request, and refuses those that are not known.
type query struct {
	values url.Values
	known  map[string]bool
	err    error
}

func queryOf(r tenantRequest) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values, known: map[string]bool{}}
	if r.person != nil {
		q.known[tenantParameter] = true
	}
	if err != nil {
		q.err = fail(http.StatusBadRequest, codeInvalid, "the query string cannot be read")
	}
	return q
}

func (q *query) text(name string) string {
	q.known[name] = true
	all := q.values[name]
	if len(all) > 1 {
		q.fail(name, "is given more than once")
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

func (q *query) fail(name, why string) {
	if q.err == nil {
		q.err = fail(http.StatusBadRequest, codeInvalid, "the parameter "+name+" "+why)
	}
}

// number reads a whole number; none is 0.
func (q *query) number(name string) int64 {
	s := q.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		q.fail(name, "is not a number that is 0 or above")
	}
	return n
}

func (q *query) truth(name string) bool {
	switch s := q.text(name); s {
	case "", "false":
		return false
	case "true":
		return true
	default:
		q.fail(name, "is neither true nor false")
		return false
	}
}

// end is the first thing that is wrong.
func (q *query) end() error {
	for name := range q.values {
		if !q.known[name] {
			q.fail(name, "is not known here")
		}
	}
	return q.err
}

// selector reads the parameters that choose messages beside state and code.
func (q *query) selector() message.Selector {
	s := message.Selector{To: q.text("to"), Reference: q.text("reference"), Meta: q.text("meta"), Account: q.text("account")}
	for _, name := range []string{"to", "reference", "meta", "account", "state", "code"} {
		if q.values.Has(name) && q.values.Get(name) == "" {
			q.fail(name, "is empty") // as by a script with an empty variable: it would choose everything
		}
	}
	if err := s.Check(); err != nil {
		q.fail("meta", "is not key=value")
	}
	return s
}

// submission reads what the parameters of a submit say, which are the flags of
// `volley start`.
func (q *query) submission(now time.Time) submission {
	s := submission{dialect: q.text("dialect"), id: q.text("id"), flags: map[string]string{}}
	for _, name := range append([]string{"channel", "text", "priority", "metadata", "awaitReports", "callbackUrl", "callbackMessages", "defaultRegion"}, columnParameters...) {
		if q.values.Has(name) {
			s.forCSV = append(s.forCSV, name)
		}
	}
	if s.dialect == "" {
		s.dialect = "volley"
	}
	flag := func(name, known string) string {
		v := q.text(name)
		s.flags[known] = v
		return v
	}
	o := &s.options
	o.Account, o.Dispatch = flag("account", "account"), flag("dispatch", "dispatch")
	o.Channel, o.Text = flag("channel", "channel"), flag("text", "text")
	if o.Dispatch != "" && o.Dispatch != "auto" && o.Dispatch != "message" && o.Dispatch != "group" {
		q.fail("dispatch", "is neither auto, message nor group")
	}
	if v := flag("sendAfter", "send-after"); v != "" {
		o.SendAfter = q.instant("sendAfter", v, now)
	}
	if v := flag("ttl", "ttl"); v != "" {
		d, err := message.ParseDuration(v)
		if err != nil || d <= 0 {
			q.fail("ttl", "is no duration above zero, such as 90s or 3d")
		}
		o.TTL = d
	}
	if o.Strict = q.truth("strict"); o.Strict {
		s.flags["strict"] = "true"
	}
	q.columns(&s)
	if o.Priority = int(min(q.number("priority"), 6)); o.Priority > 5 {
		q.fail("priority", "is not 1 (first) to 5")
	}
	s.flags["priority"] = q.text("priority")
	s.flags["metadata"] = strings.Join(q.values["metadata"], "\x00")
	o.Metadata = q.pairs("metadata")
	if v := flag("awaitReports", "await-reports"); v != "" {
		d, err := message.ParseDuration(v)
		if err != nil {
			q.fail("awaitReports", "is no duration such as 10m")
		}
		o.AwaitReports = d
	}
	if o.DefaultRegion = q.text("defaultRegion"); o.DefaultRegion != "" {
		s.flags["default-region"] = o.DefaultRegion
	}
	c := message.Callbacks{URL: flag("callbackUrl", "callback-url"), Messages: q.truth("callbackMessages")}
	if c.Messages {
		s.flags["callback-messages"] = "true"
	}
	if c.URL != "" || c.Messages {
		o.Callbacks = &c
	}
	return s
}

// instant reads a time or a duration from now.
func (q *query) instant(name, v string, now time.Time) time.Time {
	at, err := message.ParseTime(v, now)
	if err != nil {
		q.fail(name, "is "+err.Error())
	}
	return at
}

// pairs reads key=value, any number of times, as an object; none is nil.
func (q *query) pairs(name string) json.RawMessage {
	q.known[name] = true
	if len(q.values[name]) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, pair := range q.values[name] {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := m[key]; !ok || key == "" || twice {
			q.fail(name, "is not key=value with each key once")
		}
		m[key] = value
	}
	raw, _ := json.Marshal(m) // texts always encode
	return raw
}
