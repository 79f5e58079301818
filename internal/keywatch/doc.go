// Package keywatch sees to it that a process only works while its keyset is that of the
// batches, and lets every process say which keys it has.
//
// A Watch reads the keyset's file and the canaries of Temporal and of the store again each
// minute. What it says of its keys is the identity under which it polls a task queue that
// has no tasks: Temporal keeps who polled a queue within the last minutes, so that there is
// nothing to write, to clear away, or to have rights for, and a process that is gone is
// forgotten by itself. Reports reads it.
package keywatch
