// Package volley holds no code. It is here for what concerns the module as a
// whole: this overview, and the test that holds every package to its place.
//
//	message ← dialect, provider ← activities ← workflows ← worker, starter ← cmd, dev
//
// A dialect turns a request into a message.Batch, starter.Start hands it to
// Temporal, workflows.SendBatch decides when each message may go, and
// activities.Send takes it to its provider. docs/ARCHITECTURE.md walks the way
// function by function.
package volley
