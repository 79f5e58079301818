// Package flow holds what every workflow of a batch needs: waiting for whatever
// comes first, answering queries, updates and signals, the state that callers see,
// and how the Web UI and the lists show it.
package flow
