package message

import "time"

// Estimate foretells what a batch will take.
type Estimate struct {
	// Messages are those that may go out, rejected ones left out.
	Messages int `json:"messages"`
	// Segments is 0 for a batch that runs without the store.
	Segments int `json:"segments"`
	// Actions is about how many actions Temporal Cloud would count, and Dollars what
	// they would cost. Retries are not among them.
	Actions int     `json:"actions"`
	Dollars float64 `json:"dollars"`
	// EndsAt is when the last message has had its turn; nil when there is none.
	EndsAt *time.Time `json:"endsAt"`
	// Expiring is how many messages expire before their turn.
	Expiring int `json:"expiring"`
}

// Estimator gathers what an Estimate is made of, in constant memory.
type Estimator struct{}

// NewEstimator returns an Estimator for a batch that begins at now. rates are
// messages a second by account; one that is not there, or has 0, has no limit.
// pricePerMillion is what a million actions cost, in dollars.
func NewEstimator(rates map[string]float64, pricePerMillion float64, now time.Time) *Estimator {
	return &Estimator{}
}

// Add takes in a message that is not rejected: the account of its first hop, its
// due time and the end of its validity, both in Unix ms.
func (e *Estimator) Add(account string, due, expires int64) {}

// Estimate foretells the batch of the messages that were added. segments is 0 for
// one that runs without the store; dispatch is "message", also when empty, or "group".
func (e *Estimator) Estimate(segments int, dispatch string) Estimate { return Estimate{} }
