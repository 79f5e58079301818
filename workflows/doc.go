// Package workflows holds the functions that Temporal knows. What they do is in the
// packages below: engine sends a small batch or one segment message by message,
// coordinator leads a large batch, callbacks tells a batch's events, and latereports
// brings delivery reports that came too late for a run. All of them are deterministic
// and do no input or output of their own. Names and shapes are in package contract.
package workflows
