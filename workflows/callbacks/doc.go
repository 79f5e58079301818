// Package callbacks tells a batch's events to its caller: Run is the workflow that
// delivers them, and a Signaler lets it know, from within the batch's own workflow,
// that there is something to tell.
package callbacks
