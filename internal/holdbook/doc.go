// Package holdbook reads, follows and changes what is held, which the history of one
// workflow says. None of it needs a worker.
package holdbook
