// Package worker runs the workers of one process: one for workflows, and one for
// each account's attempts, so that every account has a queue, a rate and a
// concurrency of its own.
package worker
