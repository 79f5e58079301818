package message

import (
	"cmp"
	"slices"
	"strings"
)

// CodeOther is the code of messages whose reasons are too many to be told one by one, or
// are not known.
const CodeOther = "other"

const (
	// MaxReasons is how many reasons a status tells at most.
	MaxReasons = 10
	// keptReasons is how many are told apart while they are counted.
	keptReasons = 32
)

// Reason is why messages are in a state that calls for one.
type Reason struct {
	State State  `json:"state"`
	Code  string `json:"code"`
	Count int    `json:"count"`
	// Detail is that of one of the messages.
	Detail string `json:"detail"`
}

// Reasons are the reasons of the messages of a batch, or of a part of it: each state and
// code once. The zero value has none.
type Reasons []Reason

// ReasonsOf are those of records.
func ReasonsOf(records []Record) (rs Reasons) {
	for i := range records {
		rs.Count(records[i].State, records[i].Code, records[i].Detail, 1)
	}
	return rs
}

// Count adds n messages. Those in a state without reasons are passed over.
func (rs *Reasons) Count(s State, code, detail string, n int) {
	if !s.HasReason() || n <= 0 {
		return
	}
	code = cmp.Or(code, CodeOther)
	i := rs.find(s, code)
	if i < 0 && len(*rs) >= keptReasons {
		code, detail = CodeOther, ""
		i = rs.find(s, code)
	}
	if i < 0 {
		*rs = append(*rs, Reason{State: s, Code: code, Count: n, Detail: detail})
		return
	}
	(*rs)[i].Count += n
}

func (rs *Reasons) find(s State, code string) int {
	return slices.IndexFunc(*rs, func(r Reason) bool { return r.State == s && r.Code == code })
}

// Add adds the reasons of other messages.
func (rs *Reasons) Add(more Reasons) {
	for _, r := range more {
		rs.Count(r.State, r.Code, r.Detail, r.Count)
	}
}

// Of are at most MaxReasons, the largest first, that add up to the counts in each state
// that has reasons. What goes beyond, and what no reason is known of, has CodeOther.
func (rs Reasons) Of(c Counts) Reasons {
	sorted := slices.Clone(rs)
	sorted.sort()
	var known Reasons
	for _, r := range sorted {
		if r.Count = min(r.Count, c[r.State]); r.Count > 0 && r.Code != CodeOther {
			c[r.State] -= r.Count
			known = append(known, r)
		}
	}
	for n := min(len(known), MaxReasons); ; n-- {
		all := slices.Clone(known[:n])
		left := c
		for _, r := range known[n:] {
			left[r.State] += r.Count
		}
		for _, s := range States() {
			all.Count(s, CodeOther, "", left[s])
		}
		if len(all) <= MaxReasons {
			all.sort()
			return append(Reasons{}, all...)
		}
	}
}

// Text lists the codes of a state, as in http_401 899, timeout 2.
func (rs Reasons) Text(s State) string {
	var parts []string
	for _, r := range rs {
		if r.State == s {
			parts = append(parts, r.Code+" "+Number(r.Count))
		}
	}
	return strings.Join(parts, ", ")
}

func (rs Reasons) sort() {
	slices.SortStableFunc(rs, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State), cmp.Compare(a.Code, b.Code))
	})
}

// HasReason reports whether a message in the state has a reason: it has not come to its
// end well, or not at the first try.
func (s State) HasReason() bool {
	switch s {
	case Failed, Rejected, Expired, Undelivered, Unknown, Retrying:
		return true
	}
	return false
}
