// Package chaos proves on somebody's own cluster that messages are neither lost nor
// doubled: it sends batches through worker processes of its own to a sink of its own,
// disturbs all that lies between by a seed, and compares what the sink took with what
// Volley says.
//
// It touches nothing of others. Queues, accounts, ids and the store's folder belong to the
// run, and only processes that it started are killed. What a seed decides is which faults
// and controls come in which order; when exactly they hit is not repeatable.
//
// Check is a pure function of the evidence, so that every rule can be shown to fail.
// cmd/volley wires the command, and dev the runs against a server that is restarted.
package chaos
