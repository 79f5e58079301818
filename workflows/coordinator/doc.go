// Package coordinator leads a large batch, whose messages are in the store: it starts
// the workflows of its segments, brings controls to them, and answers for the batch as a
// whole.
package coordinator
