// Package callback tells a caller's endpoint what became of a batch: it writes an
// event in the format asked for, signs it and posts it, once.
//
// When an event is told, in which order, and again after a failure, is not its
// business. It knows nothing of Temporal.
package callback
