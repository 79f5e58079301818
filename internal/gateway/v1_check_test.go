package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// checkEnv has an account of each provider.
func checkEnv(t *testing.T) *testEnv {
	t.Helper()
	return newEnv(t, func(o *gateway.Options) {
		router := message.Router{
			Routes: []message.Route{
				{Dialect: "bird", Hops: []string{"bird-main"}},
				{Dialect: "sinch", Hops: []string{"sinch-eu"}},
				{Dialect: "imkit", Hops: []string{"imkit-main"}},
				{Dialect: "bluesky", Hops: []string{"bsky-main"}},
				{Hops: []string{"hook"}},
			},
			Accounts: map[string]message.Policy{
				"hook": {Provider: "webhook"}, "bird-main": {Provider: "bird"}, "sinch-eu": {Provider: "sinch"},
				"imkit-main": {Provider: "imkit"}, "bsky-main": {Provider: "bluesky"},
			},
		}
		for i := range o.Tenants {
			o.Tenants[i].Router, o.Tenants[i].HasCallbackSecret = &router, true
			o.Tenants[i].Callbacks = &message.Callbacks{URL: "https://acme.example.com/events"}
		}
		o.Accounts = append(o.Accounts, provider.Account{Name: "hook", Provider: "webhook"})
		o.Estimates = intake.Estimates{Price: 50, InlineMessages: 1000, InlineBytes: 1 << 20, Rates: map[string]float64{"hook": 10}}
	})
}

func exampleOf(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	require.NoError(t, err)
	return string(raw)
}

func TestACheckFindsWhatASubmitWouldAndStartsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, query string }{
		{"some problems", `{"text":"hi ${n}","messages":[{"to":"+15550001111","params":{"n":"1"}},{"to":"+15550002222"},{},{}]}`, ""},
		{"nothing valid", `{"text":"hi","messages":[{},{}]}`, ""},
		{"unreadable", `[1`, ""},
		{"strict", `{"text":"hi","messages":[{"to":"+15550001111"},{}]}`, "&strict=true"},
		{"lines", `{"text":"hi"}` + "\n" + strings.Repeat(`{"to":"+15550001111"}`+"\n", 60_000) + "{}\n", ""},
		{"a CSV", "to,name\n+15550001111,Ann\n,Bob\n", "&text=" + url.QueryEscape("Hi ${name}")},
		{"sinch", exampleOf(t, "sinch.json"), "&dialect=sinch"},
		{"bird", exampleOf(t, "bird.json"), "&dialect=bird"},
		{"imkit", exampleOf(t, "imkit.json"), "&dialect=imkit"},
		{"bluesky", exampleOf(t, "bluesky.json"), "&dialect=bluesky"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := checkEnv(t)
			doc := b.acme("POST", "/v1/batches:validate?preview=5"+c.query, c.body).json(http.StatusOK)
			require.Empty(t, b.requests, "nothing is started")
			real := b.acme("POST", "/v1/batches?id=x"+c.query, c.body)
			submitted := real.json(real.Code)
			if real.Code == http.StatusAccepted {
				require.Equal(t, submitted["total"], doc["total"])
				require.EqualValues(t, submitted["rejected"], int(doc["total"].(float64))-int(doc["valid"].(float64)))
				require.NotEmpty(t, doc["preview"])
				require.NotEmpty(t, doc["estimate"])
			} else if c.name != "strict" {
				require.Zero(t, doc["valid"])
				require.Empty(t, doc["preview"])
			}
			problems, _ := submitted["problems"].([]any)
			if problems == nil {
				problems = []any{}
			}
			require.Equal(t, problems, doc["problems"])
			require.EqualValues(t, len(problems), doc["found"])
		})
	}
}

func TestProblemsOfACheckAreGrouped(t *testing.T) {
	t.Parallel()
	b := checkEnv(t)
	doc := b.acme("POST", "/v1/batches:validate", `{"text":"hi"}`+"\n"+strings.Repeat("{}\n", 150)+`{"to":"+15550001111"}`+"\n").json(http.StatusOK)
	require.Len(t, doc["problems"], 100)
	require.EqualValues(t, 150, doc["found"])
	require.EqualValues(t, 1, doc["valid"])
	groups := doc["groups"].([]any)
	require.Len(t, groups, 1)
	group := groups[0].(map[string]any)
	require.Equal(t, []any{"to", "required", 150.0}, []any{group["path"], group["code"], group["messages"]})
	require.Len(t, group["places"], 5)
	require.NotContains(t, doc, "preview", "nobody asked")
}

func TestAPreviewShowsTheMessagesThatAreWorthALook(t *testing.T) {
	t.Parallel()
	b := checkEnv(t)
	rows := "to,name\n"
	for i := range 3000 {
		name := "Ann"
		switch i {
		case 1000:
			name = "NULL"
		case 2000:
			name = strings.Repeat("long ", 40)
		case 2500:
			name = "Al"
		case 2900:
			name = "Zoë ‘Zo’"
		}
		rows += fmt.Sprintf("+1555000%04d,%s\n", i, name)
	}
	doc := b.acme("POST", "/v1/batches:validate?preview=5&text="+url.QueryEscape("Hi ${name}"), rows).json(http.StatusOK)
	var shown []string
	for _, m := range doc["preview"].([]any) {
		m := m.(map[string]any)
		sms := m["sms"].(map[string]any)
		shown = append(shown, fmt.Sprintf("%v %v %v %v", m["index"], m["why"], sms["encoding"], sms["parts"]))
	}
	require.Equal(t, []string{
		"2000 longest GSM-7 2", "2500 shortest GSM-7 1", "1000 parameters GSM-7 1", "2900 parameters UCS-2 1", "0 first GSM-7 1",
	}, shown)
	require.Equal(t, "Hi NULL", doc["preview"].([]any)[2].(map[string]any)["text"])
}

// A test of a batch in any dialect is for nobody but the test's address.
func TestATestGoesToItsAddressAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect, to, at string
		query           string
	}{
		{"volley", "+1 555 000 9999", "+15550009999", ""},
		{"bird", "+15550009999", "+15550009999", ""},
		{"bird", "qa@example.com", "qa@example.com", ""},
		{"sinch", "+15550009999", "+15550009999", ""},
		{"imkit", "qa-user", "qa-user", ""},
		{"bluesky", "3kconvoqa", "3kconvoqa", ""},
	} {
		t.Run(c.dialect+" "+c.to, func(t *testing.T) {
			t.Parallel()
			b := checkEnv(t)
			body := exampleOf(t, c.dialect+".json")
			b.acme("POST", "/v1/batches?id=real&dialect="+c.dialect, body).json(http.StatusAccepted)
			real := b.requests[0].Batch
			doc := b.acme("POST", "/v1/batches:test?sample=5&dialect="+c.dialect+"&to="+url.QueryEscape(c.to), body).json(http.StatusAccepted)
			require.True(t, strings.HasPrefix(doc["id"].(string), "test-"))
			require.Len(t, b.requests, 2, "the request's own batch is not started")
			test := b.requests[1].Batch
			require.NotEmpty(t, test.Messages)
			require.Len(t, doc["samples"], len(test.Messages))
			require.Nil(t, test.Callbacks)
			require.Zero(t, test.AwaitReports)
			require.Zero(t, test.SendAfter)
			require.Contains(t, string(test.Metadata), `"test":"true"`)
			for i := range test.Messages {
				m := &test.Messages[i]
				require.Equal(t, c.at, m.To)
				require.Empty(t, m.Addresses)
				require.Empty(t, m.Reference)
				require.Zero(t, m.Due)
				require.Equal(t, real.HopsOf(&real.Messages[int(sampleIndex(t, m))]), test.HopsOf(m), "it goes the way of the message")
				content, text, err := test.Template.Render(m)
				require.NoError(t, err)
				original := &real.Messages[int(sampleIndex(t, m))]
				_, want, err := real.Template.Render(original)
				require.NoError(t, err)
				require.Equal(t, want, text)
				for j := range real.Messages {
					for _, a := range real.Messages[j].AddressesIn(c.dialect) {
						require.NotContains(t, string(content), `"`+a.Value+`"`, "somebody's address")
					}
				}
				require.NotContains(t, string(content), `"reference"`)
				require.NotContains(t, string(content), `message_metadata`)
				if c.dialect != "volley" {
					require.Contains(t, string(content), c.at)
				}
			}
		})
	}
}

// sampleIndex is the index of the message that a message of a test was made of.
func sampleIndex(t *testing.T, m *message.Message) float64 {
	t.Helper()
	var of struct {
		Index float64 `json:"index,string"`
	}
	require.NoError(t, json.Unmarshal(m.Metadata, &of))
	return of.Index
}

func TestATestThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	b := checkEnv(t)
	sinch, bird := exampleOf(t, "sinch.json"), exampleOf(t, "bird.json")
	for _, c := range []struct {
		name, query, body string
		status            int
		says              string
	}{
		{"no address", "", one, 400, "the parameter to is missing"},
		{"an empty address", "?to=", one, 400, "the parameter to is missing"},
		{"a blank address", "?to=%20", one, 422, "the address of the test is empty"},
		{"two addresses", "?to=a&to=b", one, 400, "more than once"},
		{"too many samples", "?to=%2B15550009999&sample=21", one, 400, "0 to 20"},
		{"an email for Sinch's SMS", "?dialect=sinch&to=qa@example.com", sinch, 422, "sinch-eu: a test needs a phone number"},
		{"a user for Bird", "?dialect=bird&to=someone", bird, 422, "bird-main: a test needs a phone number or an email address"},
		{"a number for IMKIT", "?dialect=imkit&to=%2B15550009999", exampleOf(t, "imkit.json"), 422, "imkit-main: a test needs a receiver"},
		{"a DID for a conversation", "?dialect=bluesky&to=did:plc:abc", exampleOf(t, "bluesky.json"), 422, "bsky-main: a test needs the id of a conversation"},
		{"a handle for a volley message", "?to=someone&account=bsky-main", one, 422, "bsky-main: a test needs a DID"},
		{"nothing valid", "?to=%2B15550009999", `{"messages":[]}`, 422, "nothing was started"},
		{"a strict request", "?to=%2B15550009999&strict=true", `{"text":"hi","messages":[{"to":"+15550001111"},{}]}`, 422, "the request is strict"},
		{"an unknown account", "?to=%2B15550009999&account=nobody", one, 422, "nothing was started"},
	} {
		doc := b.acme("POST", "/v1/batches:test"+c.query, c.body).json(c.status)
		require.Contains(t, doc["detail"], c.says, c.name)
	}
	require.Empty(t, b.requests)
}

func TestATestIsRepeatedByItsKey(t *testing.T) {
	t.Parallel()
	b := checkEnv(t)
	first := b.acme("POST", "/v1/batches:test?to=%2B15550009999", one, "Idempotency-Key: k")
	id := first.json(http.StatusAccepted)["id"]
	require.Equal(t, id, first.Header().Get("Volley-Batch-Id"))
	again := b.acme("POST", "/v1/batches:test?to=%2B15550009999", one, "Idempotency-Key: k").json(http.StatusOK)
	require.Equal(t, id, again["id"])
	require.Equal(t, true, again["existing"])
	b.acme("POST", "/v1/batches:test?to=%2B15550008888", one, "Idempotency-Key: k").json(http.StatusConflict)
	other := b.acme("POST", "/v1/batches:test?to=%2B15550009999", one).json(http.StatusAccepted)
	require.NotEqual(t, id, other["id"], "without a key it is another test")
}

func TestATestOfALargeRequestIsASmallBatch(t *testing.T) {
	t.Parallel()
	b := checkEnv(t)
	lines := `{"text":"hi ${n}"}` + "\n" + strings.Repeat(`{"to":"+15550001111","params":{"n":"x"}}`+"\n", 60_000)
	b.acme("POST", "/v1/batches:test?to=%2B15550009999", lines).json(http.StatusAccepted)
	require.Len(t, b.requests, 1)
	require.Len(t, b.requests[0].Batch.Messages, 3)
	require.Equal(t, message.DispatchMessage, b.requests[0].Batch.Dispatch)
	require.Contains(t, string(b.requests[0].Batch.Metadata), `"of":"60000"`)
	require.Equal(t, "acme", b.requests[0].Tenant)
	require.NotEqual(t, starter.Ref{}, b.requests[0].Ref)
}

func TestChecksCountAgainstTheRateOfSubmits(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Tenants[0].Rate = 1 })
	b.acme("POST", "/v1/batches:validate", one).json(http.StatusOK)
	require.Equal(t, http.StatusTooManyRequests, b.acme("POST", "/v1/batches:validate", one).Code)
	require.Equal(t, http.StatusTooManyRequests, b.acme("POST", "/v1/batches:test?to=%2B15550009999", one).Code)
}
