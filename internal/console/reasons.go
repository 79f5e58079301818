package console

import (
	"strings"

	"volley/internal/message"
)

// reasonWords say what codes mean. Those of providers come from their documents: Sinch,
// Conversation API, delivery report reasons; Bird, Channels API, failure codes.
var reasonWords = map[string]string{ //nolint:gochecknoglobals // a table that nobody changes
	"timeout":               "no answer came in time",
	"connection":            "the provider could not be reached",
	"canceled":              "it was canceled",
	"expired":               "its validity ran out",
	"unreadable_body":       "the provider's answer could not be read",
	"unsupported_content":   "this account cannot send such content",
	"unsupported_recipient": "this account cannot reach such a recipient",
	"private_address":       "the address is on a private network",
	"store":                 "the store lost its content",
	"held":                  "its account is held",
	"not_started":           "no request was made",
	"suppressed":            "this person wants no messages",
	"other":                 "other reasons",

	"http_400": "the provider refused the request",
	"http_401": "the account's key is not accepted",
	"http_402": "the account has no credit",
	"http_403": "the account may not do this",
	"http_404": "the provider does not know this address",
	"http_422": "the provider refused the content",
	"http_429": "too many requests",
	"http_500": "the provider failed",
	"http_502": "the provider was away",
	"http_503": "the provider was away",
	"http_504": "the provider was away",

	message.CodeRequired: "something is missing", message.CodeType: "a value has the wrong type", message.CodeUnknownField: "there is a field that does not exist",
	message.CodeTooLong: "it is too long", message.CodeTooShort: "it is too short", message.CodeTooMany: "there are too many", message.CodeTooFew: "there are too few",
	message.CodeFormat: "a value cannot be read", message.CodeRange: "a value is out of range", message.CodeEnum: "a value is none of those allowed",
	message.CodeConflict: "values contradict each other", message.CodeHorizon: "the time is too far away", message.CodeParameter: "a placeholder has no value",
	message.CodeUnroutable: "no account is set up for it", message.CodeRecipient: "the recipient cannot be reached so", message.CodeExcluded: "left out as asked",
	message.CodeDuplicate: "it repeats another one",

	"RECIPIENT_NOT_REACHABLE":            "the phone could not be reached",
	"RECIPIENT_NOT_OPTED_IN":             "the person has not agreed to messages",
	"RECIPIENT_INVALID_CHANNEL_IDENTITY": "number not in service",
	"OUTSIDE_ALLOWED_SENDING_WINDOW":     "outside the time in which this may be sent",
	"CHANNEL_FAILURE":                    "the channel failed",
	"CHANNEL_BAD_CONFIGURATION":          "the channel is not set up right",
	"CHANNEL_CONFIGURATION_MISSING":      "the channel is not set up",
	"CHANNEL_REJECT":                     "the channel refused it",
	"CAPABILITY_NOT_SUPPORTED":           "the phone cannot show this",
	"MESSAGE_NOT_VALID_FOR_CHANNEL":      "the channel cannot carry this",
	"RATE_LIMITED":                       "too many messages",
	"INTERNAL_ERROR":                     "the provider failed",
	"DELIVERY_EXPIRED":                   "not delivered in time",
	"MEDIA_TYPE_UNDETERMINED":            "the attachment cannot be read",
	"PROVIDER_POLICY":                    "the provider's rules forbid it",
	"OPTED_OUT":                          "the person wants no messages",
	"absent":                             "the person was not reached",
	"off":                                "the phone is off",
	"RESOURCE_EXHAUSTED":                 "too many requests",
	"INVALID_ARGUMENT":                   "the provider refused the request",
	"UNKNOWN_SUBSCRIBER":                 "number not in service",
	"ABSENT_SUBSCRIBER":                  "the phone could not be reached",
}

// reasonOf says why a message ended as it did, or waits.
func reasonOf(code, detail string) string {
	if words, ok := reasonWords[code]; ok {
		return words
	}
	if detail = strings.TrimSpace(detail); detail != "" {
		return strings.TrimSuffix(detail, ".")
	}
	if code == "" {
		return ""
	}
	return "code " + code
}

// Reason is what a code means, with its detail where the code says nothing.
func (w *words) Reason(code, detail string) string { return reasonOf(code, detail) }

// eventWords say what a step of a message was.
func eventWords(e message.TrailRow, provider string) (string, Tone) {
	why := reasonOf(e.Code, e.Detail)
	with := func(s string) string {
		if why == "" {
			return s
		}
		return s + ": " + why
	}
	switch e.Event {
	case message.EventSent:
		return "Sent by " + provider, toneGood
	case message.EventFound:
		return provider + " has it, as asking showed", toneGood
	case message.EventDelivered:
		return "Delivered, " + provider + " reports", toneGood
	case message.EventUndelivered:
		return with("Not delivered, " + provider + " reports"), toneBad
	case message.EventThrottled:
		return with(provider + " asked to wait"), toneWarn
	case message.EventUnavailable:
		return with(provider + " was not available"), toneWarn
	case message.EventUnauthorized:
		return with(provider + " refused the account"), toneBad
	case message.EventRejected, message.EventInvalid:
		return with(provider + " refused it"), toneBad
	case message.EventAmbiguous:
		return with("It left, and no answer says whether it arrived"), toneWarn
	case message.EventAbsent:
		return provider + " does not have it, as asking showed", toneWait
	case message.EventExpired:
		return "Its validity ran out", toneWarn
	case message.EventCanceled:
		return with("Canceled"), toneOff
	}
	return with(string(e.Event)), toneOff
}
