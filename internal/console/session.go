package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"volley/internal/access"
)

const (
	// cookieName holds a session: of a person who logged in, or of a browser, so that the
	// tokens of its forms are its own.
	cookieName = "volley_console"
	// zoneCookie holds the browser's time zone.
	zoneCookie = "volley_zone"
	// sessionFor is how long a login is good.
	sessionFor = 12 * time.Hour
	// tokenField and tokenHeader hold the token of a form.
	tokenField  = "csrf"
	tokenHeader = "X-CSRF-Token"
)

// signed is the value of a session's cookie: name, end and a random word, and their sum
// under the person's secret.
func signed(secret []byte, name string, end time.Time, word string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(name)) + "." + strconv.FormatInt(end.Unix(), 10) + "." + word
	sum := hmac.New(sha256.New, secret)
	sum.Write([]byte("volley console session\n" + text))
	return text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// personOf is whose session a cookie is.
func (c *Console) personOf(cookie string) (access.Person, bool) {
	parts := strings.Split(cookie, ".")
	if len(parts) != 4 {
		return access.Person{}, false
	}
	name, err := base64.RawURLEncoding.DecodeString(parts[0])
	end, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || err2 != nil || !c.o.Now().Before(time.Unix(end, 0)) {
		return access.Person{}, false
	}
	p, ok := c.o.People.Named(string(name))
	secret := c.o.People.SessionKey(string(name))
	if !ok || len(secret) == 0 {
		return access.Person{}, false
	}
	want := signed(secret, string(name), time.Unix(end, 0), parts[2])
	return p, subtle.ConstantTimeCompare([]byte(want), []byte(cookie)) == 1
}

func randomWord() string { return rand.Text() }

// identify finds out who asks. known is false where nobody is logged in.
func (c *Console) identify(r *http.Request) (p access.Person, known bool) {
	if c.o.Open {
		return access.Person{Name: "dev", Role: access.Operator}, true
	}
	if c.o.People.Proxied(r) {
		return c.o.People.Trusted(r)
	}
	if k, err := r.Cookie(cookieName); err == nil {
		return c.personOf(k.Value)
	}
	return access.Person{}, false
}

// isTLS reports whether the browser speaks TLS, to the console or to a trusted proxy.
func (c *Console) isTLS(r *http.Request) bool {
	return r.TLS != nil || c.o.People.Proxied(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// setSession sends a browser the cookie of its session.
func (c *Console) setSession(w http.ResponseWriter, r *http.Request, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: c.isTLS(r), SameSite: http.SameSiteStrictMode,
	})
}

// tokenOf is the token that the forms of a browser carry; it follows from the session.
func tokenOf(cookie string) string {
	sum := sha256.Sum256([]byte("volley console form\n" + cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// formToken is the token of a request's browser, which gets a session where it has none.
func (c *Console) formToken(w http.ResponseWriter, r *http.Request) string {
	if k, err := r.Cookie(cookieName); err == nil && k.Value != "" {
		return tokenOf(k.Value)
	}
	value := "-." + randomWord()
	c.setSession(w, r, value, sessionFor)
	return tokenOf(value)
}

// isForm reports whether a request that changes something comes from a form of ours.
func isForm(r *http.Request, token string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return false
		}
	}
	k, err := r.Cookie(cookieName)
	return err == nil && k.Value != "" && subtle.ConstantTimeCompare([]byte(tokenOf(k.Value)), []byte(token)) == 1
}

// isOwnHost reports whether a request calls the console by a name of its own, so that no
// other name that leads here makes a browser give its pages away.
func (c *Console) isOwnHost(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	own := func(name string) bool { return strings.EqualFold(name, host) }
	return own("localhost") || slices.ContainsFunc(c.o.Hosts, own) || c.o.People.Proxied(r)
}

// logins bounds how fast keys can be guessed: those of everybody together, and those of
// one address.
type logins struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

const (
	wrongKeys    = 10
	maxAddresses = 10_000
)

// admit reports whether one more key may be tried from an address.
func (l *logins) admit(r *http.Request, now time.Time) bool {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from == nil || len(l.from) >= maxAddresses {
		l.from = map[string]*rate.Limiter{}
	}
	if l.from[host] == nil {
		l.from[host] = rate.NewLimiter(0.2, wrongKeys)
	}
	return l.from[host].AllowN(now, 1)
}

// zoneOf is the zone of a request's browser.
func (c *Console) zoneOf(r *http.Request) *time.Location {
	k, err := r.Cookie(zoneCookie)
	if err != nil || len(k.Value) > 64 || k.Value == "" || k.Value == "Local" {
		return c.o.Zone
	}
	name, err := url.QueryUnescape(k.Value)
	if err != nil {
		return c.o.Zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return c.o.Zone
	}
	return zone
}
