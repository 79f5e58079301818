package health

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// minutes is over how many of them errors are counted.
	minutes = 60
	// mostCodes is how many codes of an account are counted; the rest count as otherCode.
	mostCodes = 50
	otherCode = "other"
	// probeFor is how long an account counts as unavailable after a probe that found it so:
	// batches probe every 30 s at most, and a probe may wait for its turn.
	probeFor = 90 * time.Second
)

// Recorder keeps the figures of a process. It is safe for concurrent use, and a nil one keeps
// nothing.
type Recorder struct {
	now func() time.Time

	mu       sync.Mutex
	accounts map[string]*figures
}

// figures are those of an account in one process.
type figures struct {
	// sends means that the process makes requests through the account, and inFlight is how
	// many are under way.
	sends    bool
	inFlight int
	// probed is when a batch last probed the account as its breaker was open, and failed
	// whether it was unavailable.
	probed   time.Time
	failed   bool
	reported time.Time
	codes    map[string]*count
}

// count counts an error by the minute in which it came.
type count struct {
	minutes [minutes]int
	last    time.Time
}

// NewRecorder returns a recorder of a process that sends through some accounts. now is the
// server's time; nil is this machine's.
func NewRecorder(now func() time.Time, sends ...string) *Recorder {
	if now == nil {
		now = time.Now
	}
	r := &Recorder{now: now, accounts: map[string]*figures{}}
	for _, name := range sends {
		r.of(name).sends = true
	}
	return r
}

// of are the figures of an account. The caller holds mu, or nobody else knows r.
func (r *Recorder) of(account string) *figures {
	f := r.accounts[account]
	if f == nil {
		f = &figures{codes: map[string]*count{}}
		r.accounts[account] = f
	}
	return f
}

// Began counts a request through an account as in flight until the returned function is
// called with the code of its error; empty is none.
func (r *Recorder) Began(account string) (ended func(code string)) {
	if r == nil {
		return func(string) {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(account).inFlight++
	return func(code string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f := r.of(account)
		f.inFlight--
		if code != "" {
			f.count(code, r.now())
		}
	}
}

// Probed notes what a batch found whose breaker of an account is open.
func (r *Recorder) Probed(account string, unavailable bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.of(account)
	f.probed, f.failed = r.now(), unavailable
}

// Reported notes that the provider of an account reported.
func (r *Recorder) Reported(account string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(account).reported = r.now()
}

// count counts an error.
func (f *figures) count(code string, now time.Time) {
	if f.codes[code] == nil && len(f.codes) >= mostCodes {
		f.forget(now)
		if len(f.codes) >= mostCodes {
			code = otherCode
		}
	}
	c := f.codes[code]
	if c == nil {
		c = &count{}
		f.codes[code] = c
	}
	c.clearSince(now)
	c.minutes[minute(now)%minutes]++
	c.last = now
}

// forget drops the codes that did not come within the hour.
func (f *figures) forget(now time.Time) {
	for code, c := range f.codes {
		if now.Sub(c.last) >= minutes*time.Minute {
			delete(f.codes, code)
		}
	}
}

func minute(t time.Time) int64 { return t.Unix() / 60 }

// clearSince clears the minutes that have passed since the last error.
func (c *count) clearSince(now time.Time) {
	for m := max(minute(c.last)+1, minute(now)-minutes+1); m <= minute(now); m++ {
		c.minutes[m%minutes] = 0
	}
}

// sum is how many came within the last hour.
func (c *count) sum(now time.Time) (n int) {
	for m := max(minute(now)-minutes+1, 0); m <= minute(c.last); m++ {
		n += c.minutes[m%minutes]
	}
	return n
}

// errors are the errors of the last hour, the most frequent first.
func (f *figures) errors(now time.Time) (all []Error) {
	f.forget(now)
	for code, c := range f.codes {
		if n := c.sum(now); n > 0 {
			all = append(all, Error{Code: code, Count: n, Last: c.last})
		}
	}
	sortErrors(all)
	return all
}

// sortErrors sorts errors by how many there are.
func sortErrors(all []Error) {
	slices.SortFunc(all, func(a, b Error) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Code, b.Code)) })
}
