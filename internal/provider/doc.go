// Package provider talks to the services that messages go out through.
//
// Each sender turns one message.Outgoing into one request, and its answer into a
// receipt or an *Error. What an answer means is decided in one place, Classify,
// for all of them. A sender makes each request at most once: retries belong to
// the workflow. The package knows nothing of Temporal and of batches as a whole.
package provider
