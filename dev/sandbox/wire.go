package sandbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply writes a JSON answer.
func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that left does not read it
}

var errNotObject = errors.New("the body is not a JSON object")

// object reads a request's body and its fields.
func object(w http.ResponseWriter, r *http.Request) (body json.RawMessage, fields map[string]json.RawMessage, err error) {
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, nil, err
	}
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return nil, nil, errNotObject
	}
	return body, fields, nil
}

// at returns what stands at a path of object keys, nil if nothing does.
func at(raw json.RawMessage, path ...string) json.RawMessage {
	for _, k := range path {
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) != nil {
			return nil
		}
		raw = m[k]
	}
	return raw
}

// str reads a JSON string; anything else is empty.
func str(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// texts returns the first string that stands at one of some paths.
func texts(raw json.RawMessage, paths ...[]string) string {
	for _, p := range paths {
		if s := str(at(raw, p...)); s != "" {
			return s
		}
	}
	return ""
}

func missing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// number reads a query parameter in [1, most]; fallback where it is absent or
// unreadable.
func number(r *http.Request, name string, fallback, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, most)
}

// offset reads a page token that offsetToken wrote; an empty one is 0.
func offset(token string) (int, bool) {
	if token == "" {
		return 0, true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(token, "p"))
	return n, err == nil && n >= 0
}

// offsetToken names the page after the first n of count; empty if there is none.
func offsetToken(n, count int) string {
	if n >= count {
		return ""
	}
	return "p" + strconv.Itoa(n)
}

// moment reads an RFC 3339 query parameter; an absent one is the zero time.
func moment(r *http.Request, name string) (time.Time, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, v)
}

// window reads two RFC 3339 query parameters.
func window(r *http.Request, from, to string) (since, until time.Time, err error) {
	since, err = moment(r, from)
	if err != nil {
		return since, until, err
	}
	until, err = moment(r, to)
	return since, until, err
}

// millis writes a time with millisecond precision, as the providers do.
func millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by contract
	return b
}

func newUUID() string {
	b := random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// newID returns 26 characters that look like the ids of Sinch.
func newID() string { return "01" + base32.HexEncoding.EncodeToString(random(15)) }

// token is a credential that needs no memory: kind, expiry and subject. Sandbox
// tokens are not secrets and survive a restart, as a provider's do.
func token(kind, subject string, expires time.Time) string {
	return kind + "." + strconv.FormatInt(expires.UnixMilli(), 10) + "." + hex.EncodeToString([]byte(subject)) + "." + hex.EncodeToString(random(4))
}

// readToken takes a token apart; ok is false when it is none of that kind.
func readToken(s, kind string) (subject string, expires time.Time, ok bool) {
	p := strings.Split(s, ".")
	if len(p) != 4 || p[0] != kind {
		return "", time.Time{}, false
	}
	ms, err := strconv.ParseInt(p[1], 10, 64)
	sub, err2 := hex.DecodeString(p[2])
	if err != nil || err2 != nil {
		return "", time.Time{}, false
	}
	return string(sub), time.UnixMilli(ms), true
}

// allowed reports whether a credential is accepted where want is configured.
func allowed(got, want string) bool { return got != "" && (want == "" || got == want) }

func orDefault(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
