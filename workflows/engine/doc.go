// Package engine sends a small batch, or one segment of a large one, message by
// message. It decides when each message may leave and what is done with each answer,
// and says how its messages stand.
package engine
