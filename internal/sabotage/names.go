package sabotage

// Name is a promise that can be broken.
type Name string

// The promises, and what is done instead of keeping them.
const (
	// Reconcile answers each question with "absent", without asking the provider.
	Reconcile Name = "reconcile"
	// Doubt takes an attempt without an answer for one that was refused for a while.
	Doubt Name = "doubt"
	// Watermark lets messages of a group leave before Temporal knows that they may.
	Watermark Name = "watermark"
	// Cancel answers a cancel, and cancels nothing.
	Cancel Name = "cancel"
	// Early makes messages due five seconds before their time.
	Early Name = "early"
	// Hold lets messages leave through an account that is held.
	Hold Name = "hold"
	// Ledger loses what became of the last message of a segment.
	Ledger Name = "ledger"
	// Retry makes the request of a second attempt two times.
	Retry Name = "retry"
	// Count counts each message two times that fails.
	Count Name = "count"
	// Pause answers a pause, and lets everything go on.
	Pause Name = "pause"
)

// Names are all promises that can be broken.
func Names() []Name {
	return []Name{Reconcile, Doubt, Watermark, Cancel, Early, Hold, Ledger, Retry, Count, Pause}
}
