package message

import (
	"slices"
	"strings"
	"time"
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

	CodeRequired: "something is missing", CodeType: "a value has the wrong type", CodeUnknownField: "there is a field that does not exist",
	CodeTooLong: "it is too long", CodeTooShort: "it is too short", CodeTooMany: "there are too many", CodeTooFew: "there are too few",
	CodeFormat: "a value cannot be read", CodeRange: "a value is out of range", CodeEnum: "a value is none of those allowed",
	CodeConflict: "values contradict each other", CodeHorizon: "the time is too far away", CodeParameter: "a placeholder has no value",
	CodeUnroutable: "no account is set up for it", CodeRecipient: "the recipient cannot be reached so", CodeExcluded: "left out as asked",
	CodeDuplicate: "it repeats another one",

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

// ReasonText says in words why a message ended as it did, or waits.
func ReasonText(code, detail string) string {
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

// because adds to a sentence why; an empty reason adds nothing.
func because(s, why string) string {
	if why == "" {
		return s
	}
	return s + ": " + why
}

// Sentence says what became of a message: "Tue 10:02, sent by Sinch, not delivered: number
// not in service". by is who its account sends through, see ProviderName, and when writes a
// time as its reader likes, nil as "".
func (r *Row) Sentence(by string, when func(*time.Time) string) string {
	why := ReasonText(r.Code, r.Detail)
	sent := "sent"
	if at := when(r.SentAt); at != "" {
		sent = at + ", sent"
	}
	sent += " by " + by
	ended := when(firstTime(r.FinishedAt, r.DueAt))
	var text string
	switch r.State {
	case Scheduled:
		text = "Not sent yet, due " + when(r.DueAt)
	case Accepted:
		text = because("Not sent yet, waits since "+when(r.DueAt), why)
	case Sending:
		text = "Being sent by " + by + " now"
		if r.SentAt != nil {
			text = sent + ", its delivery report is awaited"
		}
	case Retrying:
		text = because("Not sent yet, is tried again", why)
	case Sent:
		text = sent + ", no delivery report so far"
	case Delivered:
		text = sent + ", delivered " + ended
	case Undelivered:
		text = because(sent+", not delivered", why)
	case Rejected:
		text = because("Not sent, it was refused on arrival", why)
	case Failed:
		text = because(ended+", not sent, "+by+" refused it", why)
	case Expired:
		text = ended + ", not sent, its validity ran out"
	case Canceled:
		text = ended + ", canceled before it was sent"
	case Unknown:
		text = because(ended+", left for "+by+", which cannot say whether it arrived", why)
	}
	return strings.TrimPrefix(text, ", ")
}

func firstTime(times ...*time.Time) *time.Time {
	i := slices.IndexFunc(times, func(t *time.Time) bool { return t != nil })
	if i < 0 {
		return nil
	}
	return times[i]
}

// Sentence says what a step of a message was. by is who its account sends through.
func (e *TrailRow) Sentence(by string) string {
	why := ReasonText(e.Code, e.Detail)
	switch e.Event {
	case EventSent:
		return "Sent by " + by
	case EventFound:
		return by + " has it, as asking showed"
	case EventDelivered:
		return "Delivered, " + by + " reports"
	case EventUndelivered:
		return because("Not delivered, "+by+" reports", why)
	case EventThrottled:
		return because(by+" asked to wait", why)
	case EventUnavailable:
		return because(by+" was not available", why)
	case EventUnauthorized:
		return because(by+" refused the account", why)
	case EventRejected, EventInvalid:
		return because(by+" refused it", why)
	case EventAmbiguous:
		return because("It left, and no answer says whether it arrived", why)
	case EventAbsent:
		return by + " does not have it, as asking showed"
	case EventExpired:
		return "Its validity ran out"
	case EventCanceled:
		return because("Canceled", why)
	}
	return because(string(e.Event), why)
}

// ProviderName is a provider as its own company writes it. A webhook has the name of its
// account, and without an account there is none.
func ProviderName(provider, account string) string {
	name := map[string]string{"bird": "Bird", "sinch": "Sinch", "imkit": "IMKIT", "bluesky": "Bluesky"}[provider]
	switch {
	case name != "":
		return name
	case account != "":
		return account
	}
	return "no account"
}
