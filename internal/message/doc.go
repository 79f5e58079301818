// Package message is the domain: what a batch is, what a message of it is, the
// states a message goes through, and what is known about it at any moment.
//
// It decides the vocabulary (states, problem codes, trail events), the ids of
// messages, when a message is due and until when it may go out, which hops it
// takes, and what its content is once its parameters are filled in. It does no
// input or output and imports nothing else of this module, so every other
// package may use it, workflow code included.
package message
