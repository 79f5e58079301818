// Package keywatch sees to it that a process only works while its keyset is that of the
// batches, and lets every process say which keys it has.
//
// A Watch reads the keyset's file and the canaries of Temporal and of the store again each
// minute. What it says of its keys is published as internal/announce does it, and Reports
// reads it.
package keywatch
