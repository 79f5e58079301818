// Package workflows runs batches. It decides when each message may go out, what
// is done with each answer, and what the batch says of itself; it is
// deterministic and does no input or output of its own.
//
// Names and shapes in this package stand in stored histories and do not change.
package workflows
