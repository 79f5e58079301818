// Package server is Temporal and the store of large batches as every call of the
// starter needs them: it describes a batch, asks its workflow, reads its input, its
// memo and its result, forms and reads ids, asks again on another connection where an
// answer is lost, and turns the errors of Temporal and of the store into the starter's
// own. It knows no rule of what batches may do.
package server
