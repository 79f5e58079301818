package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"volley/internal/message"
)

// Callback is a request that a provider made to tell what became of messages.
type Callback struct {
	// URL is the full address that the provider called, as the provider knows it:
	// Bird signs it.
	URL    string
	Header http.Header
	// Body is the raw body, byte for byte.
	Body []byte
}

// ReportReader reads the delivery reports that come to one account. It is safe for
// concurrent use.
type ReportReader interface {
	// ReadReports checks that the callback is the provider's and returns what it
	// says. Nothing that concerns us is no report and no error. Errors wrap
	// ErrSignature, ErrClock or ErrUnreadable, and hold nothing of the callback.
	ReadReports(q Callback) (Reports, error)
	// Forget lets the same callback come again, as it does when it was answered with
	// an error because its reports could not be kept.
	Forget(q Callback)
}

// Reports are what a callback says.
type Reports struct {
	// Ended are the reports of how messages ended.
	Ended []message.Report
	// Ignored counts the others, which say that a message is on its way, or nothing
	// that concerns us.
	Ignored int
	// Unreadable counts the reports of a list that make no sense, and First says why
	// the first of them does not, naming its place. One that can be read is among them.
	Unreadable int
	First      string
}

// Errors of reading a callback.
var (
	// ErrSignature means that the signature is missing or wrong, or was used before.
	ErrSignature = errors.New("the signature is wrong")
	// ErrClock means that the signature is right and was made too long ago, or too far
	// ahead.
	ErrClock = errors.New("the time of the signature is more than five minutes off")
	// ErrUnreadable means that the signature is right and the body makes no sense.
	ErrUnreadable = errors.New("the body cannot be read")
)

// Reports returns the reader of an account's reports. It is false for accounts that
// have no report_secret, and for those of IMKIT and Bluesky, which report nothing.
func (r *Registry) Reports(account string) (ReportReader, bool) {
	s, ok := r.reports[account]
	return s, ok
}

// reportWindow is how far a signature's time may be from now, either way.
const reportWindow = 5 * time.Minute

// maxNonces bounds the signatures that are remembered for an account. The oldest go
// first: reports that come twice change nothing anyway.
const maxNonces = 100_000

// signed is what one provider's way of signing comes to: when the signature was
// made, and, where its provider has one, the word that is good for one request only.
type signed struct {
	nonce string
	at    time.Time
}

// reporter reads the reports of one account in its provider's way.
type reporter struct {
	account string
	now     func() time.Time
	// verify checks the signature, in constant time.
	verify func(q Callback) (signed, error)
	// read reads the body. Account is filled in later.
	read func(body []byte) (Reports, error)

	mu    sync.Mutex
	used  map[string]time.Time
	order []string
}

// ReadReports checks signature and clock, in this order, and reads the body.
func (r *reporter) ReadReports(q Callback) (Reports, error) {
	s, err := r.verify(q)
	if err != nil {
		return Reports{}, err
	}
	if off := r.now().Sub(s.at); off > reportWindow || off < -reportWindow {
		return Reports{}, ErrClock
	}
	if !r.first(s) {
		return Reports{}, fmt.Errorf("%w: it was used before", ErrSignature)
	}
	reports, err := r.read(q.Body)
	if err != nil {
		return Reports{}, err
	}
	for i := range reports.Ended {
		reports.Ended[i].Account = r.account
		reports.Ended[i] = reports.Ended[i].Bounded()
	}
	return reports, nil
}

// single reads the callbacks of a provider that tells of one message in each.
func single(read func(body []byte) ([]message.Report, error)) func(body []byte) (Reports, error) {
	return func(body []byte) (Reports, error) {
		ended, err := read(body)
		if err != nil {
			return Reports{}, err
		}
		if len(ended) == 0 {
			return Reports{Ignored: 1}, nil
		}
		return Reports{Ended: ended}, nil
	}
}

// Forget takes the callback's signature out of those that were used.
func (r *reporter) Forget(q Callback) {
	s, err := r.verify(q)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.used, s.nonce)
}

// first remembers a signature and reports whether it was not known.
func (r *reporter) first(s signed) bool {
	if s.nonce == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.now().Add(-2 * reportWindow)
	for len(r.order) > 0 {
		at, ok := r.used[r.order[0]]
		if ok && at.After(old) && len(r.order) < maxNonces {
			break
		}
		delete(r.used, r.order[0])
		r.order = r.order[1:]
	}
	if _, again := r.used[s.nonce]; again {
		return false
	}
	r.used[s.nonce] = r.now()
	r.order = append(r.order, s.nonce)
	return true
}

// reportsOf returns the reader of an account; nil where it takes no reports.
func reportsOf(a Account, now func() time.Time) (ReportReader, error) {
	r := &reporter{account: a.Name, now: now, used: map[string]time.Time{}}
	switch {
	case a.ReportSecret == "":
		return nil, nil //nolint:nilnil // most accounts have none
	case a.Provider == "sinch":
		r.verify, r.read = verifySinch([]byte(a.ReportSecret)), single(readSinchReport)
	case a.Provider == "bird":
		r.verify, r.read = verifyBird([]byte(a.ReportSecret)), single(readBirdReport)
	case a.Provider == "webhook":
		check, err := webhookKey(a.ReportSecret)
		if err != nil {
			return nil, fmt.Errorf("report_%w", err)
		}
		r.verify, r.read = verifyWebhook(check), readWebhookReports
	default:
		return nil, nil //nolint:nilnil // it reports nothing
	}
	return r, nil
}

// TakesReports reports whether the account's provider can report what became of a
// message, and the account has what is needed to believe it.
func (a Account) TakesReports() bool {
	return a.ReportSecret != "" && (a.Provider == "bird" || a.Provider == "sinch" || a.Provider == "webhook")
}

// equalMAC compares a signature in base64 with what it should be, in constant time.
func equalMAC(given string, key []byte, parts ...[]byte) bool {
	raw, err := base64.StdEncoding.DecodeString(given)
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return hmac.Equal(raw, h.Sum(nil)) && err == nil
}

// unixSeconds reads a time in Unix seconds.
func unixSeconds(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: its time is no number of seconds", ErrSignature)
	}
	return time.Unix(n, 0), nil
}

// millisOf reads a time in RFC 3339; 0 is none that can be read.
func millisOf(s string) int64 {
	t, err := message.ParseRFC3339(s)
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

// readReport decodes a body of one JSON value, which is not null.
func readReport(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(v); err != nil || dec.More() || string(bytes.TrimSpace(body)) == "null" {
		return fmt.Errorf("%w: it is not a JSON object of the kind that is expected", ErrUnreadable)
	}
	return nil
}
