// Package audit keeps the log of who did what: one line of JSON for every action that
// changes something, and for every login.
//
// A caller begins a Record, which travels in the context of the action. Watch fills in
// what the starter did, so that no handler and no command has to. A Log writes the
// record at the end. What a line says of a selector is its name and how many messages
// it met: its values are people's numbers.
package audit
