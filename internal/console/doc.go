// Package console serves the pages for the people who run Volley: what is wrong now, what
// became of one person's message, how a batch goes, and the controls of each.
//
// It decides how these are told and what is worth telling. It reads and changes nothing
// that the HTTP API does not: batches through the starter's methods, everything across
// batches through the index, where there is one. Every action goes through audit.Watch under
// the name of the person who asked for it. Pages are rendered here, follow the state by
// server-sent events, and need no other host.
package console
