package health

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"volley/internal/announce"
	"volley/internal/message"
)

const (
	// mostErrors is how many codes of an account are published; the rest count as otherCode.
	mostErrors = 5
	// accountsRoom is how many bytes of a text are for accounts, and maxProcess bounds the
	// name of the process.
	accountsRoom = announce.MaxText - 250
	maxProcess   = 120
)

// text is one of the texts of a process. All that it publishes at once have the same At and
// are numbered from 0.
type text struct {
	Process string `json:"p"`
	// At is when it was written, in Unix ms.
	At     int64 `json:"at"`
	Number int   `json:"n"`
	Of     int   `json:"of"`
	// Ended means that the process ends, so that nothing of it counts any more.
	Ended    bool          `json:"end,omitempty"`
	Accounts []accountText `json:"x,omitempty"`
}

// accountText is what a process says of an account. Times are Unix ms, and 0 is never.
type accountText struct {
	Name     string      `json:"a"`
	Sends    bool        `json:"s,omitempty"`
	InFlight int         `json:"f,omitempty"`
	Probed   int64       `json:"b,omitempty"`
	Failed   bool        `json:"o,omitempty"`
	Reported int64       `json:"r,omitempty"`
	Errors   []errorText `json:"e,omitempty"`
}

// errorText is an error that an account answered.
type errorText struct {
	Code  string `json:"c"`
	Count int    `json:"n"`
	Last  int64  `json:"l"`
}

// accountTexts are those of all accounts of which there is something to say, by name.
func (r *Recorder) accountTexts() (all []accountText) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, name := range slices.Sorted(maps.Keys(r.accounts)) {
		f := r.accounts[name]
		t := accountText{Name: name, Sends: f.sends, InFlight: f.inFlight, Reported: milli(f.reported)}
		if now.Sub(f.probed) < probeFor {
			t.Probed, t.Failed = milli(f.probed), f.failed
		}
		rest := errorText{Code: otherCode}
		for _, e := range f.errors(now) {
			x := errorText{Code: e.Code, Count: e.Count, Last: milli(e.Last)}
			if len(t.Errors) < mostErrors && e.Code != otherCode {
				t.Errors = append(t.Errors, x)
				continue
			}
			rest.Count, rest.Last = rest.Count+x.Count, max(rest.Last, x.Last)
		}
		if rest.Count > 0 {
			t.Errors = append(t.Errors, rest)
		}
		if t.Sends || t.Reported > 0 {
			all = append(all, t)
		}
	}
	return all
}

// textsOf packs accounts into as few texts as hold them; there is one at least. An account
// that no text could hold is left out.
func textsOf(process string, at int64, accounts []accountText) (all []string) {
	process = short(process)
	packs := [][]accountText{nil}
	room := accountsRoom
	for _, a := range accounts {
		n := len(encoded(a)) + 1
		if n > accountsRoom {
			continue
		}
		if n > room {
			packs, room = append(packs, nil), accountsRoom
		}
		last := len(packs) - 1
		packs[last], room = append(packs[last], a), room-n
	}
	for i, p := range packs {
		all = append(all, encoded(text{Process: process, At: at, Number: i, Of: len(packs), Accounts: p}))
	}
	return all
}

// short is the name of a process, which takes no more than maxProcess bytes when encoded.
func short(process string) string {
	for len(encoded(process)) > maxProcess {
		process = message.Clip(process, len(process)*3/4)
	}
	return process
}

// encoded is a text or a part of one.
func encoded(v any) string {
	b, _ := json.Marshal(v) // numbers and strings can be encoded
	return string(b)
}

// milli is a time in Unix ms; 0 is that of the zero time.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
