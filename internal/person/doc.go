// Package person does what concerns one person in all batches: it puts recipients on the
// suppression list and cancels what waits for them, forgets a person, and tells all that is
// known of one. It finds messages by the index, and what lies in the store also by reading it.
package person
