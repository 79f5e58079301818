package provider

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter caps what a provider may ask us to wait. Bluesky has been seen to
// ask for hours; nothing sane asks for more than a day.
const MaxRetryAfter = 24 * time.Hour

// Codes of ours; other codes are the provider's own or http_<status>.
const (
	// CodeTimeout and CodeConnection mean that no answer came back, CodeCanceled
	// that the caller gave up on it.
	CodeTimeout    = "timeout"
	CodeConnection = "connection"
	CodeCanceled   = "canceled"
	// CodeUnreadable is a 2xx whose body is not what the provider documents.
	CodeUnreadable = "unreadable_body"
	// CodeContent and CodeRecipient mean that this provider cannot carry the
	// content, or reach the recipient, of a message written for another one.
	CodeContent   = "unsupported_content"
	CodeRecipient = "unsupported_recipient"
	// CodePrivate is a URL whose host is on a private network.
	CodePrivate = "private_address"
)

// Reply is what came back over HTTP.
type Reply struct {
	Status int
	Header http.Header
	// Body is all of a 2xx answer's body and the beginning of any other's.
	Body []byte
	// Broken is why the body of a 2xx answer could not be read to its end; nil
	// when it was.
	Broken error
}

// Fault is what a sender reads in an answer's body. The zero value is none.
type Fault struct {
	// Kind decides before the table when it is set.
	Kind Kind
	// Code and Detail are the provider's own.
	Code, Detail string
	// RetryAfter is a wait that stands in the body; a Retry-After header beats it.
	RetryAfter time.Duration
}

// Override replaces a row of the table for one provider.
type Override struct {
	Kind Kind
	// Source is the provider's document that says so.
	Source string
}

// Overrides holds a provider's exceptions by HTTP status.
type Overrides map[int]Override

// Unreadable is the fault of a 2xx answer whose body is not understood: the
// message may have been accepted.
func Unreadable(detail string) Fault {
	return Fault{Kind: Ambiguous, Code: CodeUnreadable, Detail: detail}
}

// Classify says what an answer means for the message; nil is acceptance. It is
// the one place where that is decided: f is what the sender read in the body, o
// its exceptions, now the moment of the answer.
func Classify(r Reply, f Fault, o Overrides, now time.Time) *Error {
	if r.Status/100 == 2 {
		return classifySuccess(r, f)
	}
	e := &Error{Kind: f.Kind, Code: f.Code, Detail: f.Detail}
	if e.Kind == "" {
		e.Kind = kindOf(r.Status)
		if over, ok := o[r.Status]; ok {
			e.Kind = over.Kind
		}
	}
	if e.Code == "" {
		e.Code = "http_" + strconv.Itoa(r.Status)
	}
	if e.Detail == "" {
		e.Detail = strings.TrimSpace(fmt.Sprintf("the answer was %d %s", r.Status, http.StatusText(r.Status)))
	}
	if to := location(r); to != "" {
		e.Detail += ", which leads to " + to
	}
	if e.Kind == Throttled || e.Kind == Unavailable {
		e.RetryAfter = retryAfter(r.Header, f.RetryAfter, now)
	}
	return e
}

func classifySuccess(r Reply, f Fault) *Error {
	switch {
	case r.Broken != nil:
		return &Error{
			Kind: Ambiguous, Code: codeOf(r.Broken, CodeUnreadable),
			Detail: "the answer broke off: " + r.Broken.Error(),
		}
	case f == Fault{}:
		return nil
	case f.Kind == "":
		f.Kind = Rejected
	}
	return &Error{Kind: f.Kind, Code: f.Code, Detail: f.Detail, RetryAfter: bounded(f.RetryAfter)}
}

// kindOf is the table for every answer but 2xx. A redirect is none of the
// answers that any provider documents for a send; it is not followed and counts
// as rejected. 408 says itself that the request was not read whole (RFC 9110,
// 15.5.9). A 5xx that nobody defined may hide an acceptance.
func kindOf(status int) Kind {
	switch status {
	case http.StatusTooManyRequests:
		return Throttled
	case http.StatusServiceUnavailable, http.StatusRequestTimeout:
		return Unavailable
	case http.StatusUnauthorized, http.StatusForbidden:
		return Unauthorized
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		return Invalid
	case http.StatusNotImplemented:
		return Rejected
	}
	if status >= 300 && status < 500 {
		return Rejected
	}
	return Ambiguous
}

// location is where a redirect leads, without what may be a secret in it: login,
// query, fragment and long segments of the path. It is empty for any other answer.
func location(r Reply) string {
	u, err := url.Parse(r.Header.Get("Location"))
	if r.Status/100 != 3 || err != nil {
		return ""
	}
	segments := strings.Split(u.Path, "/")
	for i, segment := range segments {
		if len(segment) >= longSegment {
			segments[i] = "***"
		}
	}
	path := strings.Join(segments, "/")
	if u.Host == "" {
		return path
	}
	return u.Scheme + "://" + u.Host + path
}

// RetryAfter is what an answer asks to wait, at most MaxRetryAfter; 0 where it does
// not say.
func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, 0, now) }

// retryAfter reads a Retry-After header, seconds or an HTTP date, and falls back
// on what stood in the body.
func retryAfter(h http.Header, body time.Duration, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(n) {
		return bounded(time.Duration(min(max(n, 0), MaxRetryAfter.Seconds()) * float64(time.Second)))
	}
	if t, err := http.ParseTime(v); err == nil {
		return bounded(t.Sub(now))
	}
	return bounded(body)
}

func bounded(d time.Duration) time.Duration { return min(max(d, 0), MaxRetryAfter) }
