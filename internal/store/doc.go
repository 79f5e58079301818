// Package store keeps large batches and what became of them in a bucket, as files
// under <tenant>/<yyyy-mm-dd>/<batch>~<start>/. A batch is written as segments in
// the order of its due times, with the manifest last; workers read segments and
// write a ledger for each, and the batch's end. Beside them lie the messages that were
// canceled by name and the late reports; of small batches there are late reports only.
// A marker in the root tells a store that is away from one that has lost something.
package store
