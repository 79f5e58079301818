package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"volley/internal/dialect"
	"volley/internal/message"
)

// xrpcError is a failure of XRPC (AT Protocol, HTTP API: error responses).
type xrpcError struct {
	Error   string `json:"error"`
	Message string `json:"message"`
}

func writeXRPC(w http.ResponseWriter, status int, name, text string) {
	writeJSON(w, status, xrpcError{name, text})
}

// failXRPC writes a failure; at is the path of the call's input within the decoded
// document. Like the reference server, it reports only the first problem of an input.
func failXRPC(w http.ResponseWriter, f *failure, at string) {
	status, name, text := f.status, f.name, f.detail
	switch f.code {
	case codeTokenExpired:
		status, name, text = http.StatusBadRequest, "ExpiredToken", "Token has expired"
	case codeTokenInvalid:
		status, name, text = http.StatusBadRequest, "InvalidToken", "Token could not be verified"
	case codeTokenMissing:
		name, text = "AuthMissing", "Authentication Required"
	default:
		if status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest
		}
		name = cmp.Or(name, xrpcName(status))
		if len(f.problems) > 0 {
			text = dialect.EncodeBlueskyProblem(f.problems[0], at)
		}
	}
	writeXRPC(w, status, name, text)
}

// xrpcName is the reference server's name of a status (AT Protocol, xrpc: types). 409
// has none.
func xrpcName(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "AuthenticationRequired"
	case http.StatusForbidden:
		return "Forbidden"
	case http.StatusNotFound:
		return "XRPCNotSupported"
	case http.StatusRequestEntityTooLarge:
		return "PayloadTooLarge"
	case http.StatusUnsupportedMediaType:
		return "UnsupportedMediaType"
	case http.StatusTooManyRequests:
		return "RateLimitExceeded"
	case http.StatusBadGateway:
		return "UpstreamFailure"
	case http.StatusServiceUnavailable:
		return "NotEnoughResources"
	case http.StatusGatewayTimeout:
		return "UpstreamTimeout"
	}
	if status >= http.StatusInternalServerError {
		return "InternalServerError"
	}
	return "InvalidRequest"
}

// blueskyOutcome is the failure of a call of which not all messages were sent: the
// error of the first unsent one, with the batch and what became of each item. Nil means
// that all were sent.
func blueskyOutcome(id string, rows []message.Row) *failure {
	var sent, not []string
	var first *message.Row
	for i := range rows {
		at := strconv.Itoa(rows[i].Index)
		switch {
		case rows[i].State.Taken():
			sent = append(sent, at)
		default:
			if first == nil {
				first = &rows[i]
			}
			not = append(not, at+" "+rows[i].State.String())
		}
	}
	if first == nil {
		return nil
	}
	status, name := blueskyStatus(first)
	why := cmp.Or(strings.Join(nonEmpty(first.Code, first.Detail), ": "), first.State.String())
	f := fail(status, codeUpstream, fmt.Sprintf("item %d of batch %s: %s; sent: %s; not sent: %s",
		first.Index, id, why, cmp.Or(strings.Join(sent, ", "), "none"), strings.Join(not, ", ")))
	f.batch, f.name = id, name
	return f
}

// codeUpstream is a message that was not sent.
const codeUpstream = "upstream"

func nonEmpty(all ...string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// blueskyStatus is the status and the name of the error of a message that was not
// sent. The declared errors of the conversation and what is wrong with the input are
// the caller's to hear; what is wrong with the account that sends is not about the
// caller's own login.
func blueskyStatus(row *message.Row) (status int, name string) {
	switch row.State {
	case message.Expired:
		return http.StatusGatewayTimeout, "UpstreamTimeout"
	case message.Failed:
	default:
		return http.StatusBadGateway, "UpstreamFailure"
	}
	switch row.Code {
	case "ConvoLocked", "InvalidConvo", "ReplyTargetNotFound", "AccountSuspended", "BlockedActor", "BlockedSubject",
		"MessagesDisabled", "NotFollowedBySender", "RecipientNotFound", "InvalidRequest":
		return http.StatusBadRequest, row.Code
	case "PayloadTooLarge":
		return http.StatusRequestEntityTooLarge, row.Code
	case "RateLimitExceeded":
		return http.StatusTooManyRequests, row.Code
	case "NotEnoughResources":
		return http.StatusServiceUnavailable, row.Code
	}
	return http.StatusBadGateway, "UpstreamFailure"
}
