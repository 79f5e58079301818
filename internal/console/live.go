package console

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// liveHeader makes an answer hold only what of a page changes.
	liveHeader = "X-Console-Live"
	// streamFor is how long a stream lasts; the browser opens another one.
	streamFor = 10 * time.Minute
	// streamWrite bounds how long a browser may take to take in an event.
	streamWrite = 10 * time.Second
)

// live follows a page as server-sent events:
//
//	event: page   data: what of the page changes, as HTML, when it has changed
//	event: same   nothing has changed
//	event: gone   data: the status with which the page answers now
//
// The page is rendered for whoever opened the stream, each time anew, so that it ends with
// their session.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	if _, known := c.identify(r); !known {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	target, err := url.Parse(ownPath(r.URL.Query().Get("path")))
	if err != nil || strings.HasPrefix(target.Path, "/live") || strings.HasPrefix(target.Path, "/assets") || strings.HasPrefix(target.Path, "/log") && target.Path != "/log" {
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	s := &stream{w: w, ctl: http.NewResponseController(w)}
	tick := time.NewTicker(c.o.Every)
	defer tick.Stop()
	end := time.NewTimer(streamFor)
	defer end.Stop()
	for {
		if s.follow(c, r, target) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		case <-c.leaving:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// stream is one browser that follows a page.
type stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	last [sha256.Size]byte
}

// follow renders the page and sends it if it has changed.
func (s *stream) follow(c *Console, r *http.Request, target *url.URL) error {
	inner := r.Clone(r.Context())
	inner.URL, inner.RequestURI, inner.Method = target, target.RequestURI(), http.MethodGet
	inner.Header.Set(liveHeader, "true")
	rec := &recorded{header: http.Header{}}
	c.mux.ServeHTTP(rec, inner)
	sum := sha256.Sum256(rec.body.Bytes())
	switch {
	case rec.status/100 != 2 && rec.status != 0 && rec.status < http.StatusInternalServerError:
		_ = s.send("gone", http.StatusText(rec.status)) // it ends either way
		return http.ErrAbortHandler
	case sum == s.last:
		return s.send("same", "")
	}
	s.last = sum
	return s.send("page", rec.body.String())
}

func (s *stream) send(name, data string) error {
	var b strings.Builder
	b.WriteString("event: " + name + "\n")
	for line := range strings.SplitSeq(data, "\n") {
		b.WriteString("data: " + strings.TrimSuffix(line, "\r") + "\n")
	}
	b.WriteString("\n")
	_ = s.ctl.SetWriteDeadline(time.Now().Add(streamWrite)) // a test's recorder knows none
	if _, err := s.w.Write([]byte(b.String())); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// recorded is an answer in memory.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's.
func (r *recorded) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorded) WriteHeader(status int) { r.status = status }

// Write keeps the body.
func (r *recorded) Write(p []byte) (int, error) { return r.body.Write(p) }
