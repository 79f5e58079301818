// Package announce lets processes publish short texts through Temporal: each is the identity
// under which a process polls a task queue that has no tasks. Temporal keeps who polled a
// queue within the last five minutes, up to a thousand, so that there is nothing to write, to
// clear away or to have rights for, and a process that is gone is forgotten by itself.
package announce
