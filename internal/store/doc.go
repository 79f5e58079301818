// Package store keeps large batches and what became of them in a bucket, as files
// under <tenant>/<yyyy-mm-dd>/<batch>~<start>/. A batch is written as segments in
// the order of its due times, with the manifest last; workers read segments and
// write a ledger for each, and the batch's end. Small batches never come here.
package store
