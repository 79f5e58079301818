package gateway_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

const sinchMessages = "/v1/projects/" + project + "/messages"

// sinchBody is a request for one recipient, with more fields before it.
func sinchBody(fields string) string {
	return `{"app_id":"` + app + `",` + fields + `"message":{"text_message":{"text":"Hi ${name}"}},"recipient_and_params":[` +
		`{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+15550001111"}]}},"parameters":{"name":"Ann"}}]}`
}

// sinch requires Sinch's flat error and returns its violations as "field: description".
func (r reply) sinch(status int, name string) []string {
	r.t.Helper()
	doc := r.json(status)
	require.EqualValues(r.t, status, doc["code"])
	require.Equal(r.t, name, doc["status"])
	require.NotEmpty(r.t, doc["message"])
	require.IsType(r.t, []any{}, doc["details"])
	var all []string
	for _, d := range doc["details"].([]any) {
		detail := d.(map[string]any)
		if detail["@type"] != "type.googleapis.com/google.rpc.BadRequest" {
			continue
		}
		for _, v := range detail["field_violations"].([]any) {
			all = append(all, fmt.Sprint(v.(map[string]any)["field"]))
		}
	}
	return all
}

func TestSinchAnswersWithTheFinalTime(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	r := b.acme("POST", sinchMessages, sinchBody(`"send_after":"2026-11-27T09:31:00Z",`))
	require.Equal(t, map[string]any{"batch_id": "new-0", "send_after": "2026-11-27T09:35:00Z"}, r.json(http.StatusOK))
	require.Equal(t, "new-0", r.Header().Get("Volley-Batch-Id"))
	r = b.acme("POST", sinchMessages, sinchBody(""))
	require.Equal(t, "2026-11-27T09:00:00Z", r.json(http.StatusOK)["send_after"])
	require.Equal(t, "acme", b.requests[0].Tenant)
	require.Equal(t, project, b.requests[0].Flags["project"])
}

func TestSinchRepeatsAreAnsweredByteForByte(t *testing.T) {
	t.Parallel()
	clock := now
	b := newEnv(t, func(o *gateway.Options) { o.Now = func() time.Time { return clock } })
	for _, fields := range []string{"", `"send_after":"2026-11-27T09:31:00Z",`} {
		clock = now
		key := fmt.Sprintf("Idempotency-Key: k%d", len(fields))
		first := b.acme("POST", sinchMessages, sinchBody(fields), key)
		require.Equal(t, http.StatusOK, first.Code)
		clock = now.Add(time.Hour)
		again := b.acme("POST", sinchMessages, sinchBody(fields), key)
		require.Equal(t, first.Body.String(), again.Body.String())
		require.Equal(t, first.Header().Get("Volley-Batch-Id"), again.Header().Get("Volley-Batch-Id"))
		other := b.acme("POST", sinchMessages, strings.Replace(sinchBody(fields), "Ann", "Bob", 1), key)
		other.sinch(http.StatusConflict, "ALREADY_EXISTS")
	}
}

func TestSinchOneKeyForTwoProjectsIsAConflict(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].SinchProjects = []string{"p1", "p2"} })
	require.Equal(t, http.StatusOK, b.acme("POST", "/v1/projects/p1/messages", sinchBody(""), "Idempotency-Key: k").Code)
	b.acme("POST", "/v1/projects/p2/messages", sinchBody(""), "Idempotency-Key: k").sinch(http.StatusConflict, "ALREADY_EXISTS")
}

func TestSinchTellsEveryViolation(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	body := `{"message":{"text_message":{"text":""}},"ttl":"2s","recipient_and_params":[{"recipient":{}},{"recipient":{"contact_id":"c"},"x":1},` +
		`{"recipient":{"contact_id":"c"},"parameters":{"n":1}}]}`
	require.Equal(t, []string{
		"app_id", "ttl", "message.text_message.text", "recipient_and_params[0].recipient", "recipient_and_params[1].x", "recipient_and_params[2].parameters.n",
	}, b.acme("POST", sinchMessages, body).sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Equal(t, []string{""}, b.acme("POST", sinchMessages, "{").sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Equal(t, []string{""}, b.acme("POST", sinchMessages, "").sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	many := strings.Replace(sinchBody(""), `"recipient_and_params":[`, `"recipient_and_params":[`+strings.Repeat("1,", 999), 1)
	require.Len(t, b.acme("POST", sinchMessages, many).sinch(http.StatusBadRequest, "INVALID_ARGUMENT"), 999)
	require.Empty(t, b.batches)
}

func TestSinchAMalformedRecipientRefusesAll(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Limits.BodyBytes = 8 << 20 })
	body := strings.Replace(sinchBody(""), `"recipient_and_params":[`, `"recipient_and_params":[{"recipient":{},"parameters":{"name":"x"}},`, 1)
	require.Equal(t, []string{"recipient_and_params[0].recipient"}, b.acme("POST", sinchMessages, body).sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	body += strings.Repeat(" ", 5<<20) // too large to be decoded at once
	require.Equal(t, []string{"recipient_and_params[0].recipient"}, b.acme("POST", sinchMessages, body).sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Empty(t, b.batches)
	require.Equal(t, http.StatusOK, b.acme("POST", sinchMessages, sinchBody("")+strings.Repeat(" ", 5<<20)).Code)
}

func TestSinchARecipientWithoutAParameterOrAWayIsRejectedAlone(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Tenants[0].SinchProjects = []string{"p1"}
		o.Tenants[0].Router = &message.Router{}
	})
	require.Equal(t, http.StatusOK, b.acme("POST", "/v1/projects/p1/messages", sinchBody("")).Code)
	require.Equal(t, message.CodeUnroutable, b.requests[0].Batch.Messages[0].Problems[0].Code)
	require.Equal(t, http.StatusOK, b.call("POST", sinchMessages, strings.Replace(sinchBody(""), `{"name":"Ann"}`, `{}`, 1), "Authorization: Bearer "+otherKey).Code)
	require.Equal(t, message.CodeParameter, b.requests[1].Batch.Messages[0].Problems[0].Code)
}

func TestSinchARecipientThatIsNoNumberIsRejectedAlone(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Tenants[0].SinchProjects = []string{"p1"}
		o.Tenants[0].Region = "DE"
		o.Tenants[0].Router = &message.Router{
			Routes: []message.Route{{Hops: []string{"s"}}}, Accounts: map[string]message.Policy{"s": {Provider: "sinch"}},
		}
	})
	for identity, phone := range map[string]string{"0151 23456789": "+4915123456789", "2026-11-28": ""} {
		body := fmt.Sprintf(`{"app_id":"a","message":{"text_message":{"text":"Hi"}},"recipient_and_params":[
			{"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":%q}]}}}]}`, identity)
		require.Equal(t, http.StatusOK, b.acme("POST", "/v1/projects/p1/messages", body).Code)
		m := b.requests[len(b.requests)-1].Batch.Messages[0]
		require.Equal(t, identity, m.To)
		require.Equal(t, phone, m.Phone)
		if phone == "" {
			require.Equal(t, message.CodeRecipient, m.Problems[0].Code)
			require.Equal(t, "recipient_and_params[0].recipient.identified_by.channel_identities[0].identity", m.Problems[0].Path)
		}
	}
}

func TestSinchProjectsAndAppsAreTheTenants(t *testing.T) {
	t.Parallel()
	accounts := []provider.Account{
		{Name: "sinch-eu", Provider: "sinch", Project: "p1", App: app},
		{Name: "sinch-us", Provider: "sinch", Project: "p1", App: "another"},
		{Name: "bird-main", Provider: "bird", Project: "p9", App: app},
	}
	for name, c := range map[string]struct {
		projects, accounts, hops []string
		project                  string
		status                   int
		account                  string
	}{
		"an account's project is its tenant's":              {nil, nil, []string{"hook"}, "p1", http.StatusOK, "sinch-eu"},
		"routes that lead there keep their further hops":    {nil, nil, []string{"sinch-eu", "hook"}, "p1", http.StatusOK, ""},
		"an account that is not allowed has no project":     {nil, []string{"hook"}, []string{"hook"}, "p1", http.StatusForbidden, ""},
		"another account's app is none":                     {nil, []string{"sinch-us"}, []string{"hook"}, "p1", http.StatusBadRequest, ""},
		"another provider's account has no project":         {nil, nil, []string{"hook"}, "p9", http.StatusForbidden, ""},
		"a project of nobody":                               {nil, nil, []string{"hook"}, "p2", http.StatusForbidden, ""},
		"a project by configuration goes by routes":         {[]string{"p2"}, nil, []string{"hook"}, "p2", http.StatusOK, ""},
		"a list of projects is all of them":                 {[]string{"p2"}, nil, []string{"hook"}, "p1", http.StatusForbidden, ""},
		"a project by configuration may have accounts, too": {[]string{"p1"}, nil, []string{"hook"}, "p1", http.StatusOK, "sinch-eu"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, func(o *gateway.Options) {
				o.Accounts = accounts
				router := hook()
				router.Routes = []message.Route{{Hops: c.hops}}
				o.Tenants[0].Router = &router
				o.Tenants[0].SinchProjects, o.Tenants[0].Accounts = c.projects, c.accounts
			})
			r := b.acme("POST", "/v1/projects/"+c.project+"/messages", sinchBody(""))
			read := b.acme("GET", "/v1/projects/"+c.project+"/messages/new-0", "")
			gone := b.acme("DELETE", "/v1/projects/"+c.project+"/messages?batch_id=new-0", "")
			list := b.acme("GET", "/v1/projects/"+c.project+"/messages?metadataKey=k&metadataValue=v", "")
			switch c.status {
			case http.StatusOK:
				r.json(http.StatusOK)
				require.Equal(t, c.account, b.requests[0].Batch.Account)
				require.NotEmpty(t, b.requests[0].Batch.Hops)
			case http.StatusForbidden:
				for _, r := range []reply{r, read, gone, list} {
					r.sinch(http.StatusForbidden, "PERMISSION_DENIED")
				}
			case http.StatusBadRequest:
				require.Equal(t, []string{"app_id"}, r.sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
			}
		})
	}
}

func TestSinchAnotherAppIsToldWithTheOtherViolations(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Limits.BodyBytes = 8 << 20 })
	body := strings.Replace(sinchBody(`"ttl":"2s",`), app, "another", 1)
	for _, pad := range []int{0, 5 << 20} {
		r := b.acme("POST", sinchMessages, body+strings.Repeat(" ", pad))
		require.Equal(t, []string{"app_id", "ttl"}, r.sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	}
}

func TestSinchFailuresHaveItsShape(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) {
		o.Tenants[0].Rate = 1
		o.Tenants[1].Dialects = []string{"bird"}
	})
	r := b.call("POST", sinchMessages, sinchBody(""))
	r.sinch(http.StatusUnauthorized, "UNAUTHENTICATED")
	require.NotEmpty(t, r.Header().Get("WWW-Authenticate"))
	b.call("POST", sinchMessages, sinchBody(""), "Authorization: Bearer nobody").sinch(http.StatusUnauthorized, "UNAUTHENTICATED")
	b.call("POST", sinchMessages, sinchBody(""), "Authorization: Bearer "+otherKey).sinch(http.StatusForbidden, "PERMISSION_DENIED")
	b.acme("GET", sinchMessages+"/none", "").sinch(http.StatusNotFound, "NOT_FOUND")
	b.acme("GET", sinchMessages+"/%20", "").sinch(http.StatusNotFound, "NOT_FOUND")
	b.acme("POST", sinchMessages+":send", "{}").sinch(http.StatusNotFound, "NOT_FOUND")
	r = b.acme("PUT", sinchMessages, "{}")
	r.sinch(http.StatusMethodNotAllowed, "UNIMPLEMENTED")
	require.Equal(t, "GET, POST, DELETE", r.Header().Get("Allow"))
	b.acme("POST", sinchMessages, strings.Repeat(" ", 2<<20)).sinch(http.StatusRequestEntityTooLarge, "INVALID_ARGUMENT")
	r = b.acme("POST", sinchMessages, sinchBody(""))
	r.sinch(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED")
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	require.Contains(t, r.Body.String(), `{"@type":"type.googleapis.com/google.rpc.RetryInfo","retry_delay":"1s"}`)
	b.status = func(starter.Ref) (message.Status, error) { return message.Status{}, starter.ErrNoWorker }
	b.acme("GET", sinchMessages+"/b1", "").sinch(http.StatusServiceUnavailable, "UNAVAILABLE")
}

// A client may encode its secret before it puts it into the header, as the standard
// has it, and most do not.
func TestASinchSecretIsTakenAsItIsAndEncoded(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"a+b", "a%2Bb", "100%", "a b", "a%zz+"} {
		b := newEnv(t, func(o *gateway.Options) {
			o.Tenants[0].Keys[0] = intake.Key{Name: "main", Hash: intake.HashKey(secret)}
		})
		for _, given := range []string{secret, url.QueryEscape(secret)} {
			login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("id:"+given))
			doc := b.call("POST", "/oauth2/token", "grant_type=client_credentials", login).json(http.StatusOK)
			token := "Authorization: Bearer " + fmt.Sprint(doc["access_token"])
			require.Equal(t, http.StatusOK, b.call("POST", sinchMessages, sinchBody(""), token).Code, given)
		}
		login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("id:nobody+"+secret))
		b.call("POST", "/oauth2/token", "grant_type=client_credentials", login).json(http.StatusUnauthorized)
	}
}

// Whoever has a key can sign a token that says nothing.
func TestATokenOfNothingButItsHeaderIsInvalid(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	const header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
	key := intake.HashKey(acmeKey)
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(header))
	token := header + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	b.call("GET", sinchMessages+"/b", "", "Authorization: Bearer "+token).sinch(http.StatusUnauthorized, "UNAUTHENTICATED")
}

func TestSinchClientsLogInFirst(t *testing.T) {
	t.Parallel()
	clock := now
	b := newEnv(t, func(o *gateway.Options) { o.Now = func() time.Time { return clock } })
	const form = "Content-Type: application/x-www-form-urlencoded"
	basic := b.call("POST", "/oauth2/token", "grant_type=client_credentials", form, "Authorization: Basic aWQ6YWNtZS1rZXk=").json(http.StatusOK)
	posted := b.call("POST", "/oauth2/token", "grant_type=client_credentials&client_id=x&client_secret="+acmeKey, form).json(http.StatusOK)
	for _, doc := range []map[string]any{basic, posted} {
		require.EqualValues(t, 3600, doc["expires_in"])
		require.Equal(t, "bearer", doc["token_type"])
		require.Empty(t, doc["scope"])
		token := fmt.Sprint(doc["access_token"])
		require.NotContains(t, token, acmeKey)
		require.Equal(t, http.StatusOK, b.call("POST", sinchMessages, sinchBody(""), "Authorization: Bearer "+token).Code)
		require.Equal(t, "acme", b.requests[len(b.requests)-1].Tenant)
		require.Equal(t, http.StatusUnauthorized, b.call("GET", "/v1/batches", "", "Authorization: Bearer "+token).Code)
		at := strings.LastIndexByte(token, '.') + 1
		forged := token[:at] + strings.Map(func(r rune) rune { return 'A' + (r+1)%2 }, token[at:])
		b.call("POST", sinchMessages, sinchBody(""), "Authorization: Bearer "+forged).sinch(http.StatusUnauthorized, "UNAUTHENTICATED")
	}
	clock = now.Add(time.Hour)
	r := b.call("POST", sinchMessages, sinchBody(""), "Authorization: Bearer "+fmt.Sprint(basic["access_token"]))
	r.sinch(http.StatusUnauthorized, "UNAUTHENTICATED")
	require.Contains(t, r.Header().Get("WWW-Authenticate"), "expired")

	for body, want := range map[string]string{
		"grant_type=client_credentials&client_secret=nobody": "invalid_client",
		"grant_type=client_credentials":                      "invalid_client",
		"grant_type=password&client_secret=" + acmeKey:       "unsupported_grant_type",
		"client_secret=" + acmeKey:                           "invalid_request",
		"%":                                                  "invalid_request",
		"client_secret=" + strings.Repeat("x", 20<<10):       "invalid_request",
	} {
		r := b.call("POST", "/oauth2/token", body, form)
		require.Contains(t, r.Body.String(), want)
		require.NotEqual(t, http.StatusOK, r.Code)
	}
}
