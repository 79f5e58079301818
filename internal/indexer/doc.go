// Package indexer fills the index. It reads what has changed, batch by batch, from Temporal
// and the store, as callbacks do: no batch knows of it, and none waits for it.
//
// One process at a time does it, held by a lease in the index. Each step of a batch is refused
// where the lease has changed hands, or the batch has moved on, since it was read: so a
// process that was stopped, or whose clock is wrong, spoils nothing. What was taken in is taken
// in again after a crash, which changes nothing. While messages leave this process it
// works for a small share of the time only; a database that is away makes it wait.
package indexer
