package provider

import "net/http"

// AccountFault is an answer that concerns the account itself: every other message would
// get the same one, until somebody does something about the account.
type AccountFault struct {
	// Status is the answer's; 0 is any.
	Status int
	// Code is the provider's own; empty is any.
	Code string
	// Says is what is wrong with the account.
	Says string
	// Source is the document that says so.
	Source string
}

const (
	credentials = "the credentials were refused"
	credit      = "the account is refused: credentials, role or balance"
	suspended   = "the account is suspended"
)

// everyAccount are those of every provider. RFC 9110 has 402 for what the account owes.
var everyAccount = []AccountFault{
	{Status: http.StatusUnauthorized, Says: credentials, Source: "RFC 9110, 15.5.2: the request lacks valid authentication credentials"},
	{Status: http.StatusPaymentRequired, Says: "payment is required", Source: "RFC 9110, 15.5.3"},
}

// accountFaults are those of single providers beside them. Codes about recipients and
// contents are never among them.
var accountFaults = map[string][]AccountFault{
	"bird": {
		{Status: http.StatusForbidden, Says: credit, Source: "Bird, Common API usage: 403 is an access key without the role, or a workspace without balance"},
	},
	"sinch": {
		{Code: "invalid_client", Says: credentials, Source: "RFC 6749, 5.2: client authentication failed"},
		{Code: "unauthorized_client", Says: credentials, Source: "RFC 6749, 5.2: the client may not use this grant"},
		{Code: "invalid_grant", Says: credentials, Source: "RFC 6749, 5.2"},
	},
	"imkit": {
		{Code: "INVALID_API_KEY", Says: credentials, Source: "IMKIT, API key"},
		{Code: "MISSING_API_KEY", Says: credentials, Source: "IMKIT, API key"},
		{Code: "INSUFFICIENT_PERMISSIONS", Says: "the key may not send", Source: "IMKIT, API key"},
		{Code: "INVALID_TOKEN", Says: credentials, Source: "IMKIT, Error codes"},
		{Code: "INVALID_AUTH", Says: credentials, Source: "IMKIT, Error codes"},
	},
	"bluesky": {
		{Code: "InvalidToken", Says: "the credentials were refused, or the app password has no access to direct messages", Source: "bluesky-social/atproto, packages/pds/src/auth-verifier.ts and pipethrough.ts"},
		{Code: "AuthFactorTokenRequired", Says: "the account asks for a second factor", Source: "com.atproto.server.createSession"},
		{Code: "AccountTakedown", Says: suspended, Source: "com.atproto.server.createSession"},
		{Code: "AccountDeactivated", Says: suspended, Source: "bluesky-social/atproto, packages/pds/src/auth-verifier.ts"},
	},
}

// accountFault says what an answer means for an account of a provider; empty is nothing.
func accountFault(provider string, status int, code string) string {
	for _, list := range [][]AccountFault{accountFaults[provider], everyAccount} {
		for _, f := range list {
			if (f.Status == 0 || f.Status == status) && (f.Code == "" || f.Code == code) {
				return f.Says
			}
		}
	}
	return ""
}
