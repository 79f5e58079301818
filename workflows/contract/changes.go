package contract

// Changes of workflow code that histories tell apart: what they record under one of these
// names was decided by the code since. A name is never used for another change.
const (
	// ChangeRefuseUnclear ignores signals that say something twice, or null.
	ChangeRefuseUnclear = "refuse-unclear-signals"
	// ChangeOrderRounds ignores what an earlier round of controls asks of a segment after a
	// later one, and moves messages to the time that the batch was moved to, though it has
	// passed.
	ChangeOrderRounds = "order-rounds"
	// ChangeSuppressed ends a message as rejected whose recipient wants no messages, and
	// takes such an outcome for no answer of the account's.
	ChangeSuppressed = "end-suppressed"
)

// Changes are the names of all of them, the oldest first.
func Changes() []string { return []string{ChangeRefuseUnclear, ChangeOrderRounds, ChangeSuppressed} }
