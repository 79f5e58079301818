package measure

import (
	"slices"
	"time"
)

// Arrivals are the moments at which requests arrived.
type Arrivals []time.Time

// Pace says how arrivals kept to a rate.
type Pace struct {
	// Requests is how many there were, Seconds how long from the first to the last.
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	// First is how many arrived in the first second, Second the most in any later one
	// as counted from the first arrival, Window the most in any span of a second that
	// begins after the first one.
	First  int `json:"firstSecond"`
	Second int `json:"mostInASecond"`
	Window int `json:"mostInAnySecond"`
	// Rate is how many arrived per second after the first second.
	Rate float64 `json:"perSecond"`
}

// Pace sums the arrivals up. Those of the last, unfinished second count in Rate,
// which reaches from a second after the first arrival to the last one.
func (a Arrivals) Pace() Pace {
	p := Pace{Requests: len(a)}
	if len(a) == 0 {
		return p
	}
	s := slices.SortedFunc(slices.Values(a), time.Time.Compare)
	first, last := s[0], s[len(s)-1]
	p.Seconds = last.Sub(first).Seconds()
	seconds := make([]int, int(p.Seconds)+1)
	for _, t := range s {
		seconds[int(t.Sub(first)/time.Second)]++
	}
	p.First = seconds[0]
	for _, n := range seconds[1:] {
		p.Second = max(p.Second, n)
	}
	rest := s[p.First:]
	for from, to := 0, 0; from < len(rest); from++ {
		for to < len(rest) && rest[to].Sub(rest[from]) < time.Second {
			to++
		}
		p.Window = max(p.Window, to-from)
	}
	if p.Seconds > 1 {
		p.Rate = float64(len(rest)) / (p.Seconds - 1)
	}
	return p
}
