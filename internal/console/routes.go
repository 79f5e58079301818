package console

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"volley/internal/access"
	"volley/internal/audit"
	"volley/starter"
)

// routes registers all that the console serves.
func (c *Console) routes() {
	c.plain("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	c.plain("GET /assets/{file}", c.asset)
	c.plain("GET /login", c.showLogin)
	c.plain("POST /login", c.login)
	c.plain("POST /logout", c.logout)
	c.plain("GET /live", c.live)

	c.get("GET /{$}", access.Read, c.nowPage)
	c.get("GET /find", access.Find, c.findPage)
	c.get("GET /batches", access.Read, c.batchesPage)
	c.get("GET /batches/{tenant}/{id}", access.Read, c.batchPage)
	c.get("GET /batches/{tenant}/{id}/messages/{message}", access.Find, c.messagePage)
	c.get("GET /batches/{tenant}/{id}/control/{action}", access.Read, c.askControl)
	c.get("GET /accounts", access.Read, c.accountsPage)
	c.get("GET /holds/{action}", access.Hold, c.askHold)
	c.get("GET /stuck", access.Read, c.stuckPage)
	c.get("GET /suppressions", access.Read, c.suppressionsPage)
	c.get("GET /suppressions/{action}", access.Suppress, c.askSuppression)
	c.get("GET /person/forget", access.Forget, c.askForget)
	c.get("GET /new", access.Start, c.newPage)
	c.get("GET /log", access.Audit, c.logPage)
	c.get("GET /", access.Read, func(*visit) (*view, error) { return nil, errNoPage })

	c.post("POST /batches/{tenant}/{id}/control/{action}", access.Read, c.doControl)
	c.post("POST /holds/{action}", access.Hold, c.doHold)
	c.post("POST /suppressions/{action}", access.Suppress, c.doSuppression)
	c.post("POST /person/forget", access.Forget, c.doForget)
	c.post("POST /person/export", access.Export, c.export)
	c.post("POST /new/check", access.Start, c.checkFile)
	c.post("POST /new/test", access.Start, c.testFile)
	c.post("POST /new", access.Start, c.startFile)
}

func (c *Console) plain(pattern string, h http.HandlerFunc) {
	c.patterns = append(c.patterns, pattern)
	c.mux.HandleFunc(pattern, h)
}

// get registers a page, for those who may do an action.
func (c *Console) get(pattern string, may access.Right, show func(*visit) (*view, error)) {
	c.plain(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, ok := c.visit(w, r)
		if !ok {
			return
		}
		_ = c.answer(v, may, show) // it has been shown
	})
}

// post registers what changes something: it needs the token of a form of ours, and has a
// line in the audit log once it names an action.
func (c *Console) post(pattern string, may access.Right, do func(*visit) (*view, error)) {
	c.plain(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, record := audit.Begin(r.Context(), audit.Entry{})
		r = r.WithContext(ctx)
		v, ok := c.visit(w, r)
		if !ok {
			return
		}
		record.Set(func(e *audit.Entry) { e.Actor, e.Role = v.person.Name, string(v.person.Role) })
		v.readToken()
		if !isForm(r, v.given) {
			_ = c.fail(v, errNoForm) // it has been shown
			return
		}
		err := c.answer(v, may, do)
		e, write := record.End(resultOf(err))
		if e.Action == "" || !write {
			return
		}
		e.Through, e.Route, e.Remote = audit.ThroughConsole, pattern, remoteOf(r)
		_ = c.o.Audit.Write(e, v.person.Name) // it has been logged
	})
}

// asset serves a file of ours. Its address holds no version, so a browser asks each time.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	name := path.Join("assets", r.PathValue("file"))
	text, err := fs.ReadFile(assets, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)])
	_, _ = w.Write(text) // the browser has gone
}

// visit is one request of a person.
type visit struct {
	*http.Request
	w      http.ResponseWriter
	person access.Person
	words
	// token is that of the browser's forms, and given the one that came with a form.
	token, given string
	// live means that only what changes is rendered.
	live bool
}

// visit makes out who asks; where nobody is logged in it answers itself.
func (c *Console) visit(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	p, known := c.identify(r)
	if !known {
		c.needLogin(w, r)
		return nil, false
	}
	v := &visit{Request: r, w: w, person: p, words: words{now: c.o.Now().In(c.zoneOf(r))}, live: r.Header.Get(liveHeader) != ""}
	v.token = c.formToken(w, r)
	return v, true
}

// answer renders what show returns, if the person may see it.
func (c *Console) answer(v *visit, may access.Right, show func(*visit) (*view, error)) error {
	if !v.person.May(may) {
		return c.fail(v, &notAllowedError{v.person})
	}
	if tenant := v.PathValue("tenant"); tenant != "" && !v.person.Sees(tenant) {
		return c.fail(v, fmt.Errorf("batch %s: %w", v.PathValue("id"), starter.ErrNotFound))
	}
	if may == access.Hold && v.person.Tenants != nil { // a hold reaches beyond tenants
		return c.fail(v, &notAllowedError{v.person})
	}
	out, err := show(v)
	switch {
	case err != nil:
		return c.fail(v, err)
	case out.To != "":
		http.Redirect(v.w, v.Request, out.To, http.StatusSeeOther)
		return nil
	case out.File != nil:
		out.File.write(v.w)
		return nil
	}
	c.render(v, out)
	return out.err
}

// remoteOf is the address that a request comes from.
func remoteOf(r *http.Request) string {
	if at := len(r.RemoteAddr); at > 0 {
		return hostOf(r.RemoteAddr)
	}
	return ""
}

// needLogin sends a browser to the login, and refuses whatever else asks.
func (c *Console) needLogin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get(liveHeader) != "" || r.URL.Path == "/live" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	if c.o.People.Proxied(r) {
		http.Error(w, "nobody of this name may use the console", http.StatusForbidden)
		return
	}
	http.Redirect(w, r, "/login?to="+queryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

func (c *Console) showLogin(w http.ResponseWriter, r *http.Request) { c.loginForm(w, r, "") }

func (c *Console) loginForm(w http.ResponseWriter, r *http.Request, wrong string) {
	v := &visit{Request: r, w: w, words: words{now: c.o.Now().In(c.zoneOf(r))}}
	v.token = c.formToken(w, r)
	out := &view{Page: "login", Title: "Log in", Data: loginData{To: ownPath(r.FormValue("to")), Wrong: wrong}}
	if wrong != "" {
		out.Status = http.StatusUnauthorized
	}
	c.render(v, out)
}

type loginData struct{ To, Wrong string }

// login takes a person's key and begins a session.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if !isForm(r, r.FormValue(tokenField)) {
		c.loginForm(w, r, "This form was too old. Try again.")
		return
	}
	p, ok := access.Person{}, false
	wrong := "Nobody has this key."
	if c.logins.admit(r, c.o.Now()) {
		p, ok = c.o.People.Login(r.FormValue("key"))
	} else {
		wrong = "Too many keys were tried from here. Wait a minute."
	}
	if !ok {
		_, record := audit.Begin(r.Context(), audit.Entry{Action: audit.ActionLogin, Through: audit.ThroughConsole, Remote: remoteOf(r)})
		e, _ := record.End("unauthorized")
		_ = c.o.Audit.Write(e, remoteOf(r)) // it has been logged
		c.loginForm(w, r, wrong)
		return
	}
	c.setSession(w, r, signed(c.o.People.SessionKey(p.Name), p.Name, c.o.Now().Add(sessionFor), randomWord()), sessionFor)
	http.Redirect(w, r, ownPath(r.FormValue("to")), http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if isForm(r, r.FormValue(tokenField)) {
		c.setSession(w, r, "", -time.Second)
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

var (
	errNoPage = errors.New("there is no such page")
	errNoForm = errors.New("this form was too old, or came from elsewhere: go back, load the page again, and repeat it")
)

// notAllowedError means that the person's role does not let them.
type notAllowedError struct{ person access.Person }

func (e *notAllowedError) Error() string {
	return fmt.Sprintf("%s may not do this: it needs another role than %s", e.person.Name, e.person.Role)
}
