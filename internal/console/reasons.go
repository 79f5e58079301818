package console

import "volley/internal/message"

// Reason is what a code means, with its detail where the code says nothing.
func (w *words) Reason(code, detail string) string { return message.ReasonText(code, detail) }

// eventTone is how a step of a message looks.
func eventTone(e message.Event) Tone {
	switch e {
	case message.EventSent, message.EventFound, message.EventDelivered:
		return toneGood
	case message.EventUndelivered, message.EventUnauthorized, message.EventRejected, message.EventInvalid:
		return toneBad
	case message.EventThrottled, message.EventUnavailable, message.EventAmbiguous, message.EventExpired:
		return toneWarn
	case message.EventAbsent:
		return toneWait
	}
	return toneOff
}
