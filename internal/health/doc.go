// Package health tells how accounts stand: what is in flight, whether they are unavailable,
// what they answered in the last hour, when their provider last reported.
//
// A Recorder keeps the figures of one process in memory. A Publisher publishes them, and Read
// adds those of all processes up. Figures of a process that ended go away with it.
package health
