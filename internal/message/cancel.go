package message

import "iter"

// MaxListed is of how many messages an answer to a cancel has lists of ids at most.
const MaxListed = 1000

// CancelEffect is what a cancel did to a message; the zero value is not known.
type CancelEffect uint8

// What a cancel does to a message.
const (
	// CancelCanceled means that the cancel ended it.
	CancelCanceled CancelEffect = iota + 1
	// CancelSent means that its provider had taken it.
	CancelSent
	// CancelInFlight means that an attempt is under way, which is its last one.
	CancelInFlight
	// CancelEnded means that it had ended otherwise.
	CancelEnded
)

// CancelEffectOf is what a cancel did to a message that has a state since; ended means
// that the cancel brought about its end, if it has one.
func CancelEffectOf(s State, ended bool) CancelEffect {
	switch {
	case s == Canceled && ended:
		return CancelCanceled
	case s.Taken():
		return CancelSent
	case !s.Final():
		return CancelInFlight
	}
	return CancelEnded
}

// CancelResult says what became of each message that a cancel meant. The four
// lists are disjoint and together are all of them; above MaxListed messages they are nil.
type CancelResult struct {
	Batch     string       `json:"batch"`
	Canceled  []string     `json:"canceled"`
	Sent      []string     `json:"sent"`
	InFlight  []string     `json:"inFlight"`
	Ended     []string     `json:"ended"`
	Counts    CancelCounts `json:"counts"`
	Confirmed bool         `json:"confirmed"`
}

// CancelCounts are the lengths of a CancelResult's lists.
type CancelCounts struct {
	Canceled int `json:"canceled"`
	Sent     int `json:"sent"`
	InFlight int `json:"inFlight"`
	Ended    int `json:"ended"`
}

// NewCancelResult is a confirmed answer that lists no message yet.
func NewCancelResult(batch string) CancelResult {
	return CancelResult{Batch: batch, Confirmed: true, Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{}}
}

// Add lists a message. Above MaxListed messages there are no lists.
func (r *CancelResult) Add(id string, e CancelEffect) {
	list, n := r.of(e)
	*list = append(*list, id)
	*n++
	if c := &r.Counts; c.Canceled+c.Sent+c.InFlight+c.Ended > MaxListed {
		r.Canceled, r.Sent, r.InFlight, r.Ended = nil, nil, nil, nil
	}
}

// Count counts n messages without listing them.
func (r *CancelResult) Count(e CancelEffect, n int) {
	_, sum := r.of(e)
	*sum += n
}

// All yields the messages that are listed.
func (r *CancelResult) All() iter.Seq2[string, CancelEffect] {
	return func(yield func(string, CancelEffect) bool) {
		for e := CancelCanceled; e <= CancelEnded; e++ {
			list, _ := r.of(e)
			for _, id := range *list {
				if !yield(id, e) {
					return
				}
			}
		}
	}
}

// of is the list of the messages to which a cancel did something, and their count.
func (r *CancelResult) of(e CancelEffect) (*[]string, *int) {
	switch e {
	case CancelCanceled:
		return &r.Canceled, &r.Counts.Canceled
	case CancelSent:
		return &r.Sent, &r.Counts.Sent
	case CancelInFlight:
		return &r.InFlight, &r.Counts.InFlight
	default:
		return &r.Ended, &r.Counts.Ended
	}
}

// Plus are the counts of two answers together.
func (c CancelCounts) Plus(d CancelCounts) CancelCounts {
	return CancelCounts{
		Canceled: c.Canceled + d.Canceled, Sent: c.Sent + d.Sent, InFlight: c.InFlight + d.InFlight, Ended: c.Ended + d.Ended,
	}
}
