package health

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/announce"
)

// forgotten is how long after a process published last its figures count.
const forgotten = 70 * time.Second

// mostRead is how many errors of an account are read.
const mostRead = 10

// Account is how an account stands, by all processes that live.
type Account struct {
	// Sends means that a process that sends through it tells of it. Without one, InFlight,
	// Unavailable and Errors are not known.
	Sends bool
	// InFlight is how many requests are under way.
	InFlight int
	// Unavailable means that a batch lets nothing but probes through, as the account was
	// unavailable, and that the last probe found it so.
	Unavailable bool
	// Reported is when its provider last reported; zero is that nobody knows.
	Reported time.Time
	// Errors are those of the last hour, the most frequent first, at most ten.
	Errors []Error
	// AsOf is when the oldest of the figures was published, by Temporal's clock.
	AsOf time.Time

	probed int64
}

// Error is an error that an account answered.
type Error struct {
	Code  string
	Count int
	Last  time.Time
}

// round is what a process published at once.
type round struct {
	at, of int64
	ended  bool
	texts  map[int][]accountText
	seen   time.Time
}

// Read adds up what the processes of a task queue publish, by account. Those of a process
// that ended do not count, and of one that was killed no longer than 70 s. now is the time by
// Temporal's clock. Errors: those of Temporal's.
func Read(ctx context.Context, s announce.Server, namespace, taskQueue string, now time.Time) (map[string]Account, error) {
	all, err := announce.Pollers(ctx, s, namespace, queueOf(taskQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return nil, fmt.Errorf("look how the accounts stand: %w", err)
	}
	rounds := map[string]map[int64]*round{}
	for _, p := range all {
		var t text
		seen := p.GetLastAccessTime().AsTime()
		if json.Unmarshal([]byte(p.GetIdentity()), &t) != nil || t.Process == "" || now.Sub(seen) > forgotten {
			continue
		}
		if rounds[t.Process] == nil {
			rounds[t.Process] = map[int64]*round{}
		}
		r := rounds[t.Process][t.At]
		if r == nil {
			r = &round{at: t.At, of: int64(t.Of), ended: t.Ended, texts: map[int][]accountText{}, seen: seen}
			rounds[t.Process][t.At] = r
		}
		r.texts[t.Number] = t.Accounts
		if seen.Before(r.seen) {
			r.seen = seen
		}
	}
	sums := map[string]*Account{}
	for _, of := range rounds {
		if r := newest(of); !r.ended {
			r.addTo(sums)
		}
	}
	found := map[string]Account{}
	for name, a := range sums {
		sortErrors(a.Errors)
		a.Errors = a.Errors[:min(len(a.Errors), mostRead)]
		found[name] = *a
	}
	return found, nil
}

// newest is the last round of a process that is complete, or the last one where none is.
func newest(rounds map[int64]*round) (last *round) {
	complete := func(r *round) bool { return int64(len(r.texts)) == r.of }
	for _, r := range rounds {
		if last == nil || complete(r) && !complete(last) || complete(r) == complete(last) && r.at > last.at {
			last = r
		}
	}
	return last
}

// addTo adds what a process tells to what the others did.
func (r *round) addTo(sums map[string]*Account) {
	for _, accounts := range r.texts {
		for i := range accounts {
			t := &accounts[i]
			a := sums[t.Name]
			if a == nil {
				a = &Account{AsOf: r.seen}
				sums[t.Name] = a
			}
			a.add(t, r.seen)
		}
	}
}

func (a *Account) add(t *accountText, seen time.Time) {
	if seen.Before(a.AsOf) {
		a.AsOf = seen
	}
	a.Sends = a.Sends || t.Sends
	a.InFlight += t.InFlight
	if t.Probed > a.probed {
		a.probed, a.Unavailable = t.Probed, t.Failed
	}
	if at := time.UnixMilli(t.Reported).UTC(); t.Reported > 0 && at.After(a.Reported) {
		a.Reported = at
	}
	for _, e := range t.Errors {
		a.addError(Error{Code: e.Code, Count: e.Count, Last: time.UnixMilli(e.Last).UTC()})
	}
}

func (a *Account) addError(e Error) {
	for i := range a.Errors {
		if x := &a.Errors[i]; x.Code == e.Code {
			x.Count += e.Count
			if e.Last.After(x.Last) {
				x.Last = e.Last
			}
			return
		}
	}
	a.Errors = append(a.Errors, e)
}
