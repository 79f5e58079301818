// Package redriven keeps which messages of a batch a redrive has taken, for as long as
// the batch itself is kept.
package redriven
