package access

// What a route is that no right of a person's opens.
const (
	// Everyone needs no login.
	Everyone Right = "everyone"
	// Tenants is for keys of tenants alone, as the APIs of the dialects are.
	Tenants Right = "tenants"
)

// RightFor is the right that a request needs: Everyone, Tenants, or one of Rights. pattern
// is the route's, as http.ServeMux knows it, and action what stands behind the colon of
// its path, where it has a wildcard there. It is false for what is not in the table, which
// nobody may.
//
// Some of them ask for more than the table says, see the gateway: a cancel of one person's
// messages needs CancelPerson alone, control of a batch that somebody else started needs
// ControlAll, and whatever names a person, as one entry of the suppression list, needs Find.
func RightFor(pattern, action string) (Right, bool) {
	if action != "" {
		pattern += " " + action
	}
	right, ok := routes()[pattern]
	return right, ok
}

// routes is the table.
func routes() map[string]Right {
	return map[string]Right{
		"GET /healthz":      Everyone,
		"GET /readyz":       Everyone,
		"GET /openapi.json": Everyone,
		"GET /metrics":      Everyone,
		// Delivery reports are signed.
		"POST /reports/{account}": Everyone,

		"GET /v1/batches":                         Read,
		"GET /v1/batches/{id}":                    Read,
		"GET /v1/batches/{id}/messages":           Read,
		"GET /v1/batches/{id}/messages/{message}": Find,
		"GET /v1/batches/{id}/results":            Read,
		"GET /v1/batches/{id}/events":             Read,
		"POST /v1/batches":                        Start,
		"POST /v1/batches:validate":               Start,
		"POST /v1/batches:test":                   Start,
		"POST /v1/batches/{action} cancel":        CancelPerson,
		"POST /v1/batches/{action} pause":         Control,
		"POST /v1/batches/{action} resume":        Control,
		"POST /v1/batches/{action} reschedule":    Control,
		"POST /v1/batches/{action} redrive":       Redrive,
		"GET /v1/messages":                        Find,
		"GET /v1/stats":                           Read,
		"GET /v1/stuck":                           Read,
		"GET /v1/audit":                           Audit,
		"GET /v1/accounts":                        Read,
		"POST /v1/accounts/{action} hold":         Hold,
		"POST /v1/accounts/{action} release":      Hold,
		"POST /v1/holds":                          Hold,
		"POST /v1/holds:release":                  Hold,
		"GET /v1/suppressions":                    Read,
		"POST /v1/suppressions":                   Suppress,
		"DELETE /v1/suppressions":                 Suppress,
		"POST /v1/persons:forget":                 Forget,
		"POST /v1/persons:export":                 Export,

		"POST /workspaces/{workspaceId}/channels/{channelId}/batch/messages": Tenants,
		"GET /workspaces/{workspaceId}/channels/{channelId}/messages":        Tenants,
		"GET /workspaces/{workspaceId}/channels/{channelId}/messages/{id}":   Tenants,
		"GET /workspaces/{workspaceId}/messages/{id}":                        Tenants,

		"POST /v1/projects/{project_id}/messages":           Tenants,
		"GET /v1/projects/{project_id}/messages":            Tenants,
		"DELETE /v1/projects/{project_id}/messages":         Tenants,
		"GET /v1/projects/{project_id}/messages/{batch_id}": Tenants,
		"POST /oauth2/token":                                Tenants,

		"POST /messages/batch": Tenants,
		"GET /messages/batch":  Tenants,

		"POST /xrpc/chat.bsky.convo.sendMessageBatch":  Tenants,
		"POST /xrpc/chat.bsky.convo.sendMessage":       Tenants,
		"POST /xrpc/com.atproto.server.createSession":  Tenants,
		"POST /xrpc/com.atproto.server.refreshSession": Tenants,
		"GET /xrpc/com.atproto.server.getSession":      Tenants,
	}
}
