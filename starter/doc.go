// Package starter is the one place that calls Temporal as a client: it starts
// batches, reads them, controls them and forms their ids.
//
// Starting is idempotent: the same id with the same content answers with the
// batch that is there, with other content it is ErrConflict. Open batches are
// asked through a worker; closed ones are read from their result, without one, and
// those that Temporal itself ended by a worker that replays them. Errors of the Temporal
// server come out as this package's own, so no other package meets them.
//
// Batches that are too large for one workflow, or are dispatched in groups, go
// through the store: a start streams their messages into it, and reads put together
// what the store, the running segments and the batch's own workflow know.
package starter
