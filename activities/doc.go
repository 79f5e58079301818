// Package activities carries messages to their providers for the workflows: Send
// makes one attempt, SendGroup the first attempts of many, Reconcile asks about a
// doubtful one. Open, Load, Keep and Close read and write the store of large
// batches for them.
//
// It is the one place that turns a provider's errors into what a workflow acts
// on. It decides no retry and no schedule; it only refuses to make a request
// that could no longer be waited for, whose validity has run out, or, in a group,
// that the server does not know of.
package activities
