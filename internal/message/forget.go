package message

import "encoding/json"

// ForgottenRecipient stands in the place of the recipient of a message whose recipient was
// forgotten. Nothing is sent to it.
const ForgottenRecipient = "forgotten"

// Forgotten is the message without whom it was for and what it said. Its way and its times
// stay.
func (m *Message) Forgotten() Message {
	rest := Message{To: ForgottenRecipient, Channels: m.Channels, Due: m.Due, TTL: m.TTL, Route: m.Route}
	if len(m.Metadata) > 0 {
		rest.Metadata = json.RawMessage("{}") // else it would have the batch's
	}
	return rest
}

// Forget takes out of a record what providers said of its message, in their words.
func (r *Record) Forget() {
	r.ProviderID, r.Detail = "", ""
	for i := range r.Trail {
		r.Trail[i].Detail = ""
	}
	if k := r.Early; k != nil {
		early := *k
		early.ProviderID, early.Detail = "", ""
		r.Early = &early
	}
}
