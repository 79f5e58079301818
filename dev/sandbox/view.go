package sandbox

import (
	_ "embed"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML []byte

// page serves the page, which asks /messages for what is new.
func (s *Sandbox) page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(pageHTML) // a client that left does not read it
}

// messages lists what was accepted, newest first. account matches a provider's
// name, a record's account or its name in Options.Accounts, to the whole recipient; id is the sender's id,
// q is searched for in all that the page shows of a message, after keeps what came
// after a seq, and limit is 100 unless given. The counts are those of all messages. They
// are taken first, so that what comes meanwhile has a seq above their total.
func (s *Sandbox) messages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	account, to, id, text := q.Get("account"), q.Get("to"), q.Get("id"), strings.ToLower(q.Get("q"))
	after, _ := strconv.ParseInt(q.Get("after"), 10, 64) // unreadable is 0, from the start
	c := s.Counts()
	list := s.log.matching(func(rec *Record) bool {
		return rec.Seq > after &&
			(account == "" || rec.Provider == account || rec.Account == account || s.named(rec) == account) &&
			(to == "" || rec.To == to) && (id == "" || rec.ID == id) && (text == "" || rec.matches(text))
	}, number(r, "limit", 100, s.o.Keep))
	reply(w, http.StatusOK, struct {
		Messages []Record `json:"messages"`
		Counts
	}{list, c})
}

// named is what the sender's configuration calls a record's account; "" when it
// is not known.
func (s *Sandbox) named(rec *Record) string {
	if name, ok := s.o.Accounts[rec.Account]; ok {
		return name
	}
	return s.o.Accounts[rec.Provider]
}

// sink accepts anything at once, or after ?ms= milliseconds, and only counts.
func (s *Sandbox) sink(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)) // counted whatever it holds
	if q := r.URL.RawQuery; q != "" {
		if ms, err := strconv.Atoi(r.URL.Query().Get("ms")); err == nil && ms > 0 && !wait(r, time.Duration(ms)*time.Millisecond) {
			return
		}
	}
	s.sunk.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "{}") // a client that left does not read it
}

func (s *Sandbox) sinkCount(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]int64{"count": s.sunk.Load()})
}
