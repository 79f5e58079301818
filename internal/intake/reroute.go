package intake

import (
	"fmt"

	"volley/internal/message"
)

// Reroute decides anew how the messages of a batch leave that were accepted before, as
// the caller may send today: through b.Account, or else by its routes. It changes hops and
// policies of b. The function it returns takes the messages in their order. One that has
// no way now, or whose recipient cannot be reached on it, gets a problem.
func (c Caller) Reroute(b *message.Batch) func(i int, m *message.Message) {
	at := func(i int) string { return fmt.Sprintf("messages[%d]", i) }
	ways, numbers := c.Router.Acceptance(b, at), newRecipients(b, at)
	return func(i int, m *message.Message) {
		was := m.Phone
		m.Phone = ""
		ways.Accept(i, m)
		if numbers.accept(i, m); m.Phone == "" {
			m.Phone = was // in its normal form, whoever asked for that
		}
	}
}
