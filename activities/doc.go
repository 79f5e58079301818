// Package activities carries single messages to their providers for the
// workflows: Send makes one attempt, Reconcile asks about a doubtful one.
//
// It is the one place that turns a provider's errors into what a workflow acts
// on. It decides no retry and no schedule; it only refuses to make a request
// that could no longer be waited for, or whose validity has run out.
package activities
