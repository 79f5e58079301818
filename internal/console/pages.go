package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/internal/person"
	"volley/starter"

	"volley/internal/access"
)

//go:embed pages
var pageFiles embed.FS

// view is what a page shows.
type view struct {
	// Page names the template, and the entry of the navigation.
	Page, Title string
	Data        any
	// AsOf is when the oldest of what it shows was read; zero is now.
	AsOf time.Time
	// Status is that of the answer; 0 is 200.
	Status int
	// To is where the browser goes instead, and File what it gets instead.
	To   string
	File *download
	// err is what the page tells that went wrong.
	err error
}

// download is a file that a browser saves.
type download struct {
	Name, Type string
	Data       []byte
}

func (d *download) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", d.Type)
	w.Header().Set("Content-Disposition", `attachment; filename="`+d.Name+`"`)
	_, _ = w.Write(d.Data) // the browser has gone
}

// page is a template with the layout and all parts.
type page struct{ *template.Template }

// frame is what a template sees.
type frame struct {
	*words
	*view
	Person access.Person
	Token  string
	// Query is what was looked for, and Path where this page is.
	Query, Path string
	// Age is that of the data, in seconds.
	Age  int
	Zone string
	Nav  []navItem
	// CampaignKey is the metadata key that a campaign's name goes under.
	CampaignKey string
	Open        bool
}

type navItem struct {
	Name, Title, Path string
}

// parsePages parses the templates: each page with all parts.
func parsePages() map[string]*page {
	root := template.Must(template.New("").Funcs(functions()).ParseFS(pageFiles, "pages/parts*.html", "pages/layout.html"))
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := map[string]*page{}
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "pages/"), ".html")
		if name == "layout" || strings.HasPrefix(name, "parts") {
			continue
		}
		all[name] = &page{template.Must(template.Must(root.Clone()).ParseFS(pageFiles, file))}
	}
	return all
}

// functions are what templates call beside the methods of a frame.
func functions() template.FuncMap {
	return template.FuncMap{
		"deref": func(s *string) string { return *s }, "derefFloat": func(f *float64) float64 { return *f }, "derefInt": func(n *int) int { return *n },
		"pairOf": func(f *frame, r *message.Reason) reasonPart { return reasonPart{f.words, r} },
	}
}

// reasonPart is what the part "reason" shows.
type reasonPart struct {
	Words  *words
	Reason *message.Reason
}

// BatchPath is where a batch is.
func (f *frame) BatchPath(tenant, id string) string { return batchPath(tenant, id) }

// ByWhom says who holds something.
func (f *frame) ByWhom(by string) string { return byWhom(by) }

// Live reports whether the page follows what it shows.
func (f *frame) Live() bool {
	switch f.Page {
	case "now", "batches", "batch", "message", "accounts":
		return true
	}
	return f.Page == "problem" && f.Status >= http.StatusInternalServerError
}

// navigation lists the pages that a person may open.
func navigation(p access.Person) []navItem {
	items := []navItem{{"now", "Now", "/"}}
	for _, x := range []struct {
		may access.Right
		navItem
	}{
		{access.Find, navItem{"find", "Find", "/find"}},
		{access.Read, navItem{"batches", "Batches", "/batches"}},
		{access.Read, navItem{"accounts", "Accounts", "/accounts"}},
		{access.Read, navItem{"stuck", "Stuck", "/stuck"}},
		{access.Read, navItem{"suppressions", "Suppressions", "/suppressions"}},
		{access.Start, navItem{"new", "New batch", "/new"}},
		{access.Audit, navItem{"log", "Log", "/log"}},
	} {
		if p.May(x.may) {
			items = append(items, x.navItem)
		}
	}
	return items
}

// render writes a page, or only what changes of it.
func (c *Console) render(v *visit, out *view) {
	f := &frame{
		words: &v.words, view: out, Person: v.person, Token: v.token, Path: v.URL.RequestURI(), Query: v.URL.Query().Get("q"),
		Zone: v.now.Location().String(), Open: c.o.Open, CampaignKey: c.campaignKey(),
	}
	if v.person.Name != "" {
		f.Nav = navigation(v.person)
	}
	if !out.AsOf.IsZero() {
		f.Age = max(0, int(v.now.Sub(out.AsOf).Seconds()))
	}
	name := "layout"
	if v.live {
		name = "content"
	}
	var text bytes.Buffer
	if err := c.pages[out.Page].ExecuteTemplate(&text, name, f); err != nil {
		c.o.Log.Error("a page cannot be rendered", zap.String("page", out.Page), zap.Error(err))
		http.Error(v.w, "internal error", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if out.Status != 0 {
		v.w.WriteHeader(out.Status)
	}
	_, _ = v.w.Write(harmless(text.Bytes())) // the browser has gone
}

// harmless replaces control characters and what changes the direction of text, which callers'
// names and providers' answers may have, on a whole page.
func harmless(page []byte) []byte {
	return bytes.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return r
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return utf8.RuneError
		}
		return r
	}, page)
}

// problem is what a page says of an error.
type problem struct{ Title, Text string }

// fail shows what went wrong, and returns it.
func (c *Console) fail(v *visit, err error) error {
	status, p := explain(err)
	if status == http.StatusInternalServerError {
		c.o.Log.Error("a page failed", zap.String("route", v.Pattern), zap.Error(err))
	}
	c.render(v, &view{Page: "problem", Title: p.Title, Data: p, Status: status})
	return err
}

// errNoIndex means that the page needs an index.
var errNoIndex = errors.New("this needs an index: set index.url in the configuration")

// explain says what an error means to a person.
func explain(err error) (int, problem) {
	var not *notAllowedError
	var wrong *wrongError
	var behind *person.BehindError
	switch {
	case errors.As(err, &not):
		return http.StatusForbidden, problem{"Not allowed", sentence(err)}
	case errors.As(err, &wrong):
		return http.StatusUnprocessableEntity, problem{"Not done", sentence(err)}
	case errors.Is(err, errNoForm):
		return http.StatusForbidden, problem{"Not done", sentence(err)}
	case errors.Is(err, errNoPage):
		return http.StatusNotFound, problem{"Not found", "There is no such page."}
	case errors.Is(err, errNoIndex):
		return http.StatusNotFound, problem{"There is no index", "This page reads across batches, which needs an index. Set index.url in the configuration; all else works without it."}
	case errors.Is(err, starter.ErrNotFound):
		return http.StatusNotFound, problem{"Not found", sentence(err)}
	case errors.Is(err, starter.ErrNoWorker):
		return http.StatusServiceUnavailable, problem{"No worker answers", "No worker has answered in time, so what this page shows is not known. Batches go on once a worker runs."}
	case errors.Is(err, starter.ErrUnreachable), errors.Is(err, starter.ErrBusy):
		return http.StatusServiceUnavailable, problem{"Temporal does not answer", "Nothing can be read or changed until it does. This page looks again by itself."}
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, problem{"No answer in time", "What this page shows took too long to read. It looks again by itself."}
	case errors.As(err, &behind):
		return http.StatusServiceUnavailable, problem{"The index is behind", sentence(err)}
	case isIndexAway(err):
		return http.StatusServiceUnavailable, problem{"The index does not answer", "Pages that read across batches wait for its database. Sending does not."}
	case errors.Is(err, starter.ErrConflict), errors.Is(err, starter.ErrEnded), errors.Is(err, starter.ErrRefused), errors.Is(err, starter.ErrStillRunning):
		return http.StatusConflict, problem{"Not done", sentence(err)}
	case errors.Is(err, starter.ErrMayHaveChanged), errors.Is(err, starter.ErrMayHaveStarted):
		return http.StatusGatewayTimeout, problem{"It may have been done", sentence(err)}
	case errors.Is(err, starter.ErrInvalid), isIndexInvalid(err):
		return http.StatusBadRequest, problem{"This cannot be read", sentence(err)}
	case errors.Is(err, starter.ErrStore):
		return http.StatusServiceUnavailable, problem{"The store does not answer", sentence(err)}
	}
	return http.StatusInternalServerError, problem{"Something went wrong", "The log of the gateway says more."}
}

// wrongError is what a person gave that cannot be done.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

// resultOf is what an audit line calls an error.
func resultOf(err error) string {
	var not *notAllowedError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &not):
		return "forbidden"
	case errors.Is(err, starter.ErrNotFound):
		return "not_found"
	case errors.Is(err, starter.ErrNoWorker):
		return "no_worker"
	case errors.Is(err, starter.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, starter.ErrConflict), errors.Is(err, starter.ErrEnded):
		return "conflict"
	}
	return "invalid"
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func queryEscape(s string) string { return url.QueryEscape(s) }

// ownPath is a path of ours, for a browser to go to; anything else is the first page.
func ownPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n") {
		return "/"
	}
	return s
}
