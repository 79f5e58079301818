package providertest

import (
	"net/http"
	"strconv"
	"time"

	"volley/internal/provider"
)

// row is one answer and what it means.
type row struct {
	name string
	// kind is what is expected; empty is acceptance.
	kind provider.Kind
	// code is the expected code; empty is any but none at all.
	code string
	// wait bounds the expected RetryAfter, both ends included.
	waitMin, waitMax time.Duration
	answer           func(s *server, w http.ResponseWriter, r *http.Request)
}

// table is what an answer means, for every sender.
func (h Hooks) table() []row {
	rows := []row{
		{name: "accepted", answer: h.accept},
		{name: "empty 200", kind: provider.Ambiguous, answer: h.status(200, "")},
		{name: "malformed JSON", kind: provider.Ambiguous, answer: h.status(200, `{"id": `)},
		{name: "JSON of another shape", kind: provider.Ambiguous, answer: h.status(200, `["id"]`)},
		{name: "endless body", kind: provider.Ambiguous, answer: endless(200)},
		{name: "endless error", kind: provider.Ambiguous, code: "http_500", answer: endless(500)},
		{name: "cut before the request was read", kind: provider.Ambiguous, answer: cut(false, "")},
		{name: "cut after the request was read", kind: provider.Ambiguous, answer: cut(true, "")},
		{name: "cut within the header", kind: provider.Ambiguous, answer: cut(true, "HTTP/1.1 200 OK\r\nContent-")},
		{
			name: "cut within the body", kind: provider.Ambiguous,
			answer: cut(true, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+h.Accepted),
		},
		{name: "no HTTP at all", kind: provider.Ambiguous, answer: cut(true, "220 mail.example ESMTP\r\n")},
		{name: "redirect", kind: provider.Rejected, code: "http_302", answer: redirect(302, "/elsewhere")},
		{name: "redirect that keeps the method", kind: provider.Rejected, code: "http_307", answer: redirect(307, "/elsewhere")},
		{name: "redirect to nowhere", kind: provider.Rejected, code: "http_302", answer: redirect(302, "http://[::1")},
	}
	if h.Refused != "" {
		rows = append(rows, row{name: "200 with an error in its body", kind: provider.Rejected, answer: h.status(200, h.Refused)})
	}
	for status, kind := range map[int]provider.Kind{
		400: provider.Invalid, 401: provider.Unauthorized, 403: provider.Unauthorized, 404: provider.Rejected,
		408: provider.Unavailable, 409: provider.Rejected, 413: provider.Invalid, 422: provider.Invalid,
		429: provider.Throttled, 500: provider.Ambiguous, 501: provider.Rejected, 502: provider.Ambiguous,
		503: provider.Unavailable, 504: provider.Ambiguous, 520: provider.Ambiguous,
	} {
		rows = append(rows, row{name: strconv.Itoa(status), kind: kind, answer: h.fault(status, "")})
	}
	later := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	return append(rows,
		row{name: "429 with seconds", kind: provider.Throttled, waitMin: 7 * time.Second, waitMax: 7 * time.Second, answer: h.fault(429, "7")},
		row{name: "429 with a date", kind: provider.Throttled, waitMin: time.Second, waitMax: 91 * time.Second, answer: h.fault(429, later)},
		row{name: "429 with a date gone by", kind: provider.Throttled, answer: h.fault(429, "Wed, 21 Oct 2015 07:28:00 GMT")},
		row{name: "429 without end", kind: provider.Throttled, waitMin: provider.MaxRetryAfter, waitMax: provider.MaxRetryAfter, answer: h.fault(429, "99999999999999999999")},
		row{name: "503 with seconds", kind: provider.Unavailable, waitMin: 2 * time.Second, waitMax: 2 * time.Second, answer: h.fault(503, "2")},
		row{name: "503 with a wait nobody can read", kind: provider.Unavailable, answer: h.fault(503, "soon")},
	)
}

func (h Hooks) accept(_ *server, w http.ResponseWriter, _ *http.Request) {
	status := h.Status
	if status == 0 {
		status = http.StatusOK
	}
	write(w, status, h.Accepted)
}

func (h Hooks) status(status int, body string) func(*server, http.ResponseWriter, *http.Request) {
	return func(_ *server, w http.ResponseWriter, _ *http.Request) { write(w, status, body) }
}

// fault answers with an error that quotes every secret, the one that the request
// itself carried included.
func (h Hooks) fault(status int, wait string) func(*server, http.ResponseWriter, *http.Request) {
	return func(_ *server, w http.ResponseWriter, r *http.Request) {
		if wait != "" {
			w.Header().Set("Retry-After", wait)
		}
		quoted := "seen"
		for _, s := range h.Secrets {
			quoted += " " + s
		}
		write(w, status, h.Fault(quoted+" "+r.Header.Get("Authorization")))
	}
}

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that left early is part of the test
}

func endless(status int) func(*server, http.ResponseWriter, *http.Request) {
	return func(_ *server, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		chunk := make([]byte, 32<<10)
		for i := range chunk {
			chunk[i] = ' '
		}
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

func redirect(status int, to string) func(*server, http.ResponseWriter, *http.Request) {
	return func(_ *server, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}
}

// cut writes raw bytes in place of an answer, possibly none, and hangs up.
func cut(readBody bool, raw string) func(*server, http.ResponseWriter, *http.Request) {
	return func(s *server, w http.ResponseWriter, r *http.Request) {
		if readBody {
			s.drain(r)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = conn.Write([]byte(raw))
		_ = conn.Close()
	}
}
