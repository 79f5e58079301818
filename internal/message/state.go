package message

import (
	"encoding/json"
	"fmt"
	"slices"
)

// State is where a message stands. The zero value is Scheduled. The numbers are
// stored in workflow histories and never change.
type State uint8

// The states of a message. From Sent on they are final; a final state changes
// only by a delivery report, and only forward.
const (
	// Scheduled means that the message is not due yet.
	Scheduled State = iota
	// Accepted means that the message is due and waits for its turn.
	Accepted
	// Sending means that an attempt is handed to Temporal, or that one was and it
	// is not yet known what became of it.
	Sending
	// Retrying means that the message waits for another attempt.
	Retrying
	// Sent means that the provider took the message.
	Sent
	// Delivered means that a delivery report said so.
	Delivered
	// Undelivered means that a delivery report said that it never arrived.
	Undelivered
	// Rejected means that the message failed validation.
	Rejected
	// Failed means a permanent answer, or that attempts and hops are used up.
	Failed
	// Expired means that its validity ran out before a provider took it.
	Expired
	// Canceled means that it was canceled before a provider took it.
	Canceled
	// Unknown means that the request left, no answer came back, and the provider
	// could not tell afterwards.
	Unknown

	numStates
)

var stateNames = [numStates]string{
	"scheduled", "accepted", "sending", "retrying", "sent", "delivered",
	"undelivered", "rejected", "failed", "expired", "canceled", "unknown",
}

// countOrder is the order in which counts are written.
var countOrder = [numStates]State{
	Accepted, Scheduled, Sending, Retrying, Sent, Delivered, Undelivered,
	Failed, Rejected, Expired, Canceled, Unknown,
}

// States lists every state in the order in which counts are written.
func States() []State { return slices.Clone(countOrder[:]) }

// ParseState reads a state's name.
func ParseState(s string) (State, error) {
	for i, n := range stateNames {
		if n == s {
			return State(i), nil
		}
	}
	return 0, fmt.Errorf("unknown state %q, expected one of %v", s, stateNames)
}

// String returns the state's name.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Text is what texts for people call the state. A message that waits for its turn is
// waiting there, as accepted reads like an answer of the provider's.
func (s State) Text() string {
	if s == Accepted {
		return "waiting"
	}
	return s.String()
}

// Final reports whether the message has ended; only a delivery report changes a
// final state.
func (s State) Final() bool { return s >= Sent && s < numStates }

// Taken reports whether a provider took the message.
func (s State) Taken() bool { return s == Sent || s == Delivered || s == Undelivered }

// untaken reports whether the state says of a message that was tried that no provider took it.
func (s State) untaken() bool {
	return s == Failed || s == Expired || s == Canceled || s == Rejected
}

// Waiting reports whether the message waits without an attempt under way.
func (s State) Waiting() bool { return s == Scheduled || s == Accepted || s == Retrying }

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *State) UnmarshalText(b []byte) error {
	v, err := ParseState(string(b))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// Counts is the number of messages in each state, indexed by State. As JSON it
// is an object that always holds all twelve.
type Counts [numStates]int

// Total adds up all states.
func (c Counts) Total() int {
	n := 0
	for _, v := range c {
		n += v
	}
	return n
}

// Add adds other counts.
func (c *Counts) Add(other Counts) {
	for s, n := range other {
		c[s] += n
	}
}

// Open is the number of messages that have not ended.
func (c Counts) Open() int { return c[Scheduled] + c[Accepted] + c[Sending] + c[Retrying] }

// MarshalJSON writes {"accepted":0,…}.
func (c Counts) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 192)
	for i, s := range countOrder {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		b = append(b, sep)
		b = fmt.Appendf(b, "%q:%d", s.String(), c[s])
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes; a state that is absent is 0.
func (c *Counts) UnmarshalJSON(b []byte) error {
	var m map[State]int
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*c = Counts{}
	for s, n := range m {
		c[s] = n
	}
	return nil
}
