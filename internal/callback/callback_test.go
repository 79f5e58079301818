package callback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"volley/internal/callback"
	"volley/internal/message"
	"volley/internal/tracing"
)

const secret = "whsec_dGhlLXNlY3JldC1vZi1hY21lLWlzLXRoaXM="

// received is one request that an endpoint got.
type received struct {
	header http.Header
	body   []byte
}

// endpoint answers as told and says what it got.
func endpoint(t *testing.T, answer func(w http.ResponseWriter)) (*httptest.Server, func() []received) {
	t.Helper()
	var mu sync.Mutex
	var all []received
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		all = append(all, received{r.Header, body})
		mu.Unlock()
		answer(w)
	}))
	t.Cleanup(srv.Close)
	return srv, func() []received {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

func poster(t *testing.T, key string, private bool) *callback.Poster {
	t.Helper()
	p := callback.New(callback.Options{
		Tenants:      map[string]callback.Tenant{"acme": {Secret: key, SinchProject: "project-1"}},
		BirdChannels: map[string]string{"bird-main": "channel-1"}, AllowPrivate: private,
	})
	t.Cleanup(p.Close)
	return p
}

func to(url, format string) message.Callbacks { return message.Callbacks{URL: url, Format: format} }

func TestAStandardWebhookIsVerifiedByTheStandardsLibrary(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"as the specification writes it": secret, "as it is": "0123456789abcdef"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, all := endpoint(t, status(http.StatusNoContent))
			e := sent()
			require.Nil(t, poster(t, key, true).Post(t.Context(), "acme", to(srv.URL, "volley"), e))
			got := all()[0]
			wh, err := standardwebhooks.NewWebhookRaw([]byte(key))
			if key == secret {
				wh, err = standardwebhooks.NewWebhook(key)
			}
			require.NoError(t, err)
			require.NoError(t, wh.Verify(got.body, got.header))
			require.Error(t, wh.Verify(append(got.body, ' '), got.header))
			require.Equal(t, e.ID, got.header.Get("webhook-id"))
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
		})
	}
}

// An endpoint of Sinch's checks the signature so: HMAC-SHA256 of body, nonce and
// time, dots between, in base64.
func TestASinchCallbackIsVerifiedAsSinchSays(t *testing.T) {
	t.Parallel()
	srv, all := endpoint(t, status(http.StatusOK))
	p := poster(t, "foo_secret1234", true)
	for range 2 {
		require.Nil(t, p.Post(t.Context(), "acme", to(srv.URL, "sinch"), sent()))
	}
	for _, got := range all() {
		h := got.header
		mac := hmac.New(sha256.New, []byte("foo_secret1234"))
		fmt.Fprintf(mac, "%s.%s.%s", got.body, h.Get("x-sinch-webhook-signature-nonce"), h.Get("x-sinch-webhook-signature-timestamp"))
		require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), h.Get("x-sinch-webhook-signature"))
		require.Equal(t, "HmacSHA256", h.Get("x-sinch-webhook-signature-algorithm"))
		recent(t, h.Get("x-sinch-webhook-signature-timestamp"))
	}
	require.NotEqual(t, all()[0].header.Get("x-sinch-webhook-signature-nonce"), all()[1].header.Get("x-sinch-webhook-signature-nonce"))
}

// An endpoint of Bird's checks the signature so: HMAC-SHA256 of time, its own URL and
// the hash of the body, a line each, in base64.
func TestABirdCallbackIsVerifiedAsBirdSays(t *testing.T) {
	t.Parallel()
	srv, all := endpoint(t, status(http.StatusOK))
	require.Nil(t, poster(t, "bird key", true).Post(t.Context(), "acme", to(srv.URL+"/hook?a=b%20c#part", "bird"), sent()))
	got := all()[0]
	sum := sha256.Sum256(got.body)
	at := got.header.Get("messagebird-request-timestamp")
	mac := hmac.New(sha256.New, []byte("bird key"))
	mac.Write([]byte(strings.Join([]string{at, srv.URL + "/hook?a=b%20c", string(sum[:])}, "\n")))
	require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), got.header.Get("messagebird-signature"))
	require.NotEmpty(t, got.header.Get("messagebird-request-id"))
	recent(t, at)
}

func recent(t *testing.T, seconds string) {
	t.Helper()
	n, err := strconv.ParseInt(seconds, 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(n, 0), time.Minute)
}

func TestWhatAnAnswerMeansForAnEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   *callback.Failure
	}{
		"200":     {status(200), nil},
		"202":     {status(202), nil},
		"299":     {status(299), nil},
		"400":     {status(400), &callback.Failure{Code: "http_400", Detail: "the endpoint answered 400"}},
		"500":     {status(500), &callback.Failure{Code: "http_500", Detail: "the endpoint answered 500"}},
		"gone":    {status(410), &callback.Failure{Code: "http_410", Detail: "the endpoint answered 410", Gone: true}},
		"to wait": {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "90"); w.WriteHeader(503) }, &callback.Failure{Code: "http_503", Detail: "the endpoint answered 503", RetryAfter: 90 * time.Second}},
		"cut":     {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, &callback.Failure{Code: "connection", Detail: "the connection was refused or broke off"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, all := endpoint(t, c.answer)
			require.Equal(t, c.want, poster(t, secret, true).Post(t.Context(), "acme", to(srv.URL, "volley"), sent()))
			require.Len(t, all(), 1, "it is posted once")
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	inside, reached := endpoint(t, status(200))
	srv, _ := endpoint(t, func(w http.ResponseWriter) {
		w.Header().Set("Location", inside.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	f := poster(t, secret, true).Post(t.Context(), "acme", to(srv.URL, "volley"), sent())
	require.Equal(t, "http_307", f.Code)
	require.Empty(t, reached())
}

func TestPrivateAddressesAreReachedOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	srv, reached := endpoint(t, status(200))
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	// localhost is a name that leads to this host.
	for _, url := range []string{srv.URL, "http://localhost" + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port, "http://169.254.169.254/latest", "http://10.0.0.1/"} {
		f := poster(t, secret, false).Post(t.Context(), "acme", to(url, "volley"), sent())
		require.NotNil(t, f, url)
		require.Equal(t, callback.CodePrivate, f.Code, url)
		require.True(t, f.Never, url)
	}
	require.Empty(t, reached())
	require.Nil(t, poster(t, secret, true).Post(t.Context(), "acme", to("http://localhost"+port, "volley"), sent()))
	require.Len(t, reached(), 1)
}

func TestANameMayLeadElsewhereTomorrow(t *testing.T) {
	t.Parallel()
	for url, never := range map[string]bool{
		"http://host.invalid/": false, "http://app.localhost/": true, "http://LOCALHOST./": true, "http://168.63.129.16/": true,
		"http://example.com:0/": true, "http://example.com:99999/": true, "http://:80/": true, "ftp://example.com/": true, "http://[::1": true, "": true,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody is asked for a name
		f := poster(t, secret, false).Post(ctx, "acme", to(url, "volley"), sent())
		require.NotNil(t, f, url)
		require.Equal(t, never, f.Never, url)
	}
}

func TestAnAddressMayHoldALogin(t *testing.T) {
	t.Parallel()
	srv, all := endpoint(t, status(200))
	url := strings.Replace(srv.URL, "http://", "http://ann:pass%20word@", 1)
	require.Nil(t, poster(t, secret, true).Post(t.Context(), "acme", to(url, "volley"), sent()))
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("ann:pass word")), all()[0].header.Get("Authorization"))
}

func TestNothingIsPostedWithoutASecretOrAnAddress(t *testing.T) {
	t.Parallel()
	srv, all := endpoint(t, status(200))
	for want, f := range map[string]*callback.Failure{
		callback.CodeSecret: poster(t, secret, true).Post(t.Context(), "other", to(srv.URL, "volley"), sent()),
		callback.CodeURL:    poster(t, secret, true).Post(t.Context(), "acme", to("ftp://example.com", "volley"), sent()),
	} {
		require.Equal(t, want, f.Code)
	}
	f := poster(t, "whsec_not base64", true).Post(t.Context(), "acme", to(srv.URL, "volley"), sent())
	require.Equal(t, callback.CodeSecret, f.Code)
	require.NotContains(t, f.Detail, "not base64\"")
	require.Empty(t, all())
}

// Neither the address nor the secret may end up in a history, where failures do.
func TestAFailureTellsNeitherAddressNorSecret(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	for _, url := range []string{srv.URL + "/token-0123456789", "http://no-such-host.invalid/token-0123456789"} {
		f := poster(t, secret, true).Post(t.Context(), "acme", to(url, "volley"), sent())
		raw, err := json.Marshal(f)
		require.NoError(t, err)
		for _, hidden := range []string{"token-0123456789", "127.0.0.1", "invalid", "dGhlLX"} {
			require.NotContains(t, string(raw), hidden)
		}
	}
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", callback.Tenant{Secret: secret}, callback.Tenant{Secret: secret}, callback.Tenant{Secret: secret}), "dGhlLX")
}

func TestDuringAChangeOfSecretsEitherVerifies(t *testing.T) {
	t.Parallel()
	const old = "0123456789abcdef-old"
	srv, all := endpoint(t, status(http.StatusOK))
	p := callback.New(callback.Options{Tenants: map[string]callback.Tenant{"acme": {Secret: secret, PreviousSecret: old}}, AllowPrivate: true})
	t.Cleanup(p.Close)
	require.Nil(t, p.Post(t.Context(), "acme", to(srv.URL, "volley"), sent()))
	got := all()[0]
	current, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	previous, err := standardwebhooks.NewWebhookRaw([]byte(old))
	require.NoError(t, err)
	other, err := standardwebhooks.NewWebhookRaw([]byte("another"))
	require.NoError(t, err)
	require.NoError(t, current.Verify(got.body, got.header))
	require.NoError(t, previous.Verify(got.body, got.header))
	require.Error(t, other.Verify(got.body, got.header))
}

func TestSinchsEventsNameTheProject(t *testing.T) {
	t.Parallel()
	srv, all := endpoint(t, status(http.StatusOK))
	p := callback.New(callback.Options{
		Tenants: map[string]callback.Tenant{
			"acme": {Secret: "s3cret", SinchApps: map[string]string{"app-1": "of the app"}, SinchProject: "the tenant's"},
		},
		SinchProjects: map[string]string{"bird-main": "of the account"}, AllowPrivate: true,
	})
	t.Cleanup(p.Close)
	post := func(body, account string) string {
		e := sent()
		e.Rows[0].Account = account
		e.Request = asked(body)
		require.Nil(t, p.Post(t.Context(), "acme", to(srv.URL, "sinch"), e))
		var posted struct {
			Project string `json:"project_id"`
		}
		heard := all()
		require.NoError(t, json.Unmarshal(heard[len(heard)-1].body, &posted))
		return posted.Project
	}
	require.Equal(t, "of the app", post(`{"app_id":"app-1"}`, "bird-main"))
	require.Equal(t, "of the account", post(`{"app_id":"another"}`, "bird-main"))
	require.Equal(t, "the tenant's", post(`{"app_id":"another"}`, "hook"))
}

func TestATenantIsToldWhatItWants(t *testing.T) {
	t.Parallel()
	p := callback.New(callback.Options{Tenants: map[string]callback.Tenant{
		"all": {}, "none": {Events: []string{}}, "some": {Events: []string{"message.*", "batch.completed"}},
	}})
	t.Cleanup(p.Close)
	for _, typ := range callback.Types() {
		require.True(t, p.Wants("all", typ))
		require.True(t, p.Wants("nobody", typ))
		require.False(t, p.Wants("none", typ))
		require.Equal(t, strings.HasPrefix(typ, "message.") || typ == "batch.completed", p.Wants("some", typ), typ)
	}
	require.Len(t, callback.Types(), 19)
}

func TestACallbackIsASpanWithoutItsAddress(t *testing.T) {
	t.Parallel()
	srv, got := endpoint(t, status(http.StatusTeapot))
	out := tracetest.NewInMemoryExporter()
	ctx, span := tracing.Begin(t.Context(), sdktrace.NewTracerProvider(sdktrace.WithSyncer(out)), "Deliver")
	for _, address := range []string{srv.URL + "/hidden?key=hidden", "http://127.0.0.1:1/hidden"} {
		require.NotNil(t, poster(t, secret, true).Post(ctx, "acme", to(address, "volley"), sent()))
	}
	span.End()
	require.Equal(t, tracing.Parent(ctx)[:35], got()[0].header.Get("traceparent")[:35], "its receiver goes on with the trace")

	spans := out.GetSpans()
	require.Len(t, spans, 3)
	var said []string
	for _, s := range spans[:2] {
		require.Empty(t, s.Events)
		require.Empty(t, s.Status.Description)
		for _, kv := range s.Attributes {
			said = append(said, string(kv.Key)+"="+kv.Value.String())
		}
	}
	require.Equal(t, []string{"volley.tenant=acme", "volley.outcome=http_418", "volley.tenant=acme", "volley.outcome=connection"}, said)
}
