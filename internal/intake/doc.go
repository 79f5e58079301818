// Package intake reads a request of any size, in one of the dialects, and decides
// what of it may run: it finds every problem, gives each message its way, and lays
// the tenant's settings over the batch. The commands and the gateway both go
// through it, so that a request means the same whichever way it comes.
//
// It starts nothing; a Buffered or a Streamed is what a starter starts.
package intake
