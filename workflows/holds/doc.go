// Package holds keeps what is held: which messages must not be sent now, by whom and why.
// Its history is what every worker follows, so that it works with no worker there.
package holds
