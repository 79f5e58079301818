package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/callback"
	"volley/internal/config"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
)

func environment(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func load(t *testing.T, text string, env map[string]string) (*config.Config, error) {
	t.Helper()
	return config.Load(write(t, text), environment(env))
}

// exampleEnv is the environment of examples/volley.yaml.
func exampleEnv() map[string]string {
	return map[string]string{
		"BIRD_ACCESS_KEY": "bird-s3cret", "SINCH_KEY_SECRET": "sinch-s3cret", "IMKIT_API_KEY": "imkit-s3cret",
		"BSKY_APP_PASSWORD": "bsky-s3cret", "HOOK_SECRET": "hook-s3cret", "ACME_KEY": "acme-s3cret", "ACME_CALLBACK_SECRET": "cb-s3cret",
	}
}

func example(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("../../examples/volley.yaml", environment(exampleEnv()))
	require.NoError(t, err)
	return c
}

func TestTheExampleShowsTheDefaults(t *testing.T) {
	t.Parallel()
	c, d := example(t), config.Default()
	require.Equal(t, d.Limits, c.Limits)
	require.Equal(t, d.Store, c.Store)
	require.Equal(t, d.TaskQueue, c.TaskQueue)
	require.Equal(t, d.ActivitySummaries, c.ActivitySummaries)
	require.Equal(t, d.StoreRetention, c.StoreRetention)
	require.Equal(t, d.BlueskyWait, c.BlueskyWait)
	require.InDelta(t, d.ActionPrice, c.ActionPrice, 0)
	require.Equal(t, d.ConfirmAbove, c.ConfirmAbove)
	require.Equal(t, d.AllowPrivateCallbacks, c.AllowPrivateCallbacks)
	require.Equal(t, []string{"campaign"}, c.SearchMetadata)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := config.Default()
	require.Equal(t, config.Limits{
		BatchMessages: 1_000_000, BodyBytes: 64 << 20, InlineMessages: 1000, InlineBytes: 1 << 20, IMKITParas: 1000, InFlight: 48, Connections: 4096,
	}, c.Limits)
	require.Equal(t, 30*24*time.Hour, c.StoreRetention)
	require.Equal(t, 25*time.Second, c.BlueskyWait)
	require.Empty(t, c.Accounts())
	require.Nil(t, c.Router("default").Allowed)

	require.Nil(t, c.SearchMetadata, "without a file nobody knows")
	c.SearchMetadata = []string{}

	empty, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, c, empty, "an empty file is the defaults")
	empty, err = load(t, "# nothing\naccounts:\nroutes:\n", nil)
	require.NoError(t, err)
	require.Equal(t, c, empty, "empty values are the defaults")
}

func TestTheKeyOfContents(t *testing.T) {
	t.Parallel()
	const text = "content_key: ${CONTENT_KEY}\nconfirm_above: 0\n"
	c, err := load(t, text, map[string]string{"CONTENT_KEY": "0123456789abcdef"})
	require.NoError(t, err)
	require.Equal(t, "0123456789abcdef", c.ContentKey.Reveal())
	require.False(t, c.ContentKeyUnset)
	require.Zero(t, c.ConfirmAbove)

	c, err = config.LoadWithoutSecrets(write(t, text), environment(nil))
	require.NoError(t, err)
	require.True(t, c.ContentKeyUnset, "another key would find nothing")
	_, err = load(t, text, nil)
	require.ErrorContains(t, err, "content_key")
	_, err = load(t, text, map[string]string{"CONTENT_KEY": "short"})
	require.ErrorContains(t, err, "at least 16 characters")
	require.NotContains(t, err.Error(), "short")
	require.False(t, config.Default().ContentKeyUnset)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	accounts := example(t).Accounts()
	require.Len(t, accounts, 5)
	require.Equal(t, provider.Account{
		Name: "bird-main", Provider: "bird", BaseURL: "https://api.bird.com",
		Workspace: "11111111-2222-4333-8444-555555555555", Channel: "66666666-7777-4888-8999-000000000000",
		AccessKey: "bird-s3cret", Rate: 500, Concurrency: 64, AllowPrivate: true, OnUnknown: message.Hold,
		Settle: 5 * time.Second, RetryInitial: time.Second, RetryMax: 15 * time.Minute,
	}, accounts[0])
	require.Equal(t, provider.Account{
		Name: "bsky-main", Provider: "bluesky", BaseURL: "https://bsky.social", Identifier: "shop.example.com",
		Password: "bsky-s3cret", AllowPrivate: true, OnUnknown: message.Hold, Settle: 5 * time.Second,
	}, accounts[1])
	require.Equal(t, provider.Account{
		Name: "hook", Provider: "webhook", URL: "https://hooks.example.com/volley", Secret: "hook-s3cret", Reconcile: true,
		AllowPrivate: true, OnUnknown: message.Resend, Settle: 5 * time.Second,
	}, accounts[2])
	require.Equal(t, "imkit-s3cret", accounts[3].APIKey)
	require.Equal(t, "support", accounts[3].Sender)
	require.Equal(t, "sinch-s3cret", accounts[4].KeySecret)
	require.Equal(t, "https://auth.sinch.com/oauth2/token", accounts[4].TokenURL)
}

func TestAccountDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts:
  b: {provider: bird, workspace: w, channel: c, access_key: k}
  s: {provider: sinch, base_url: "http://127.0.0.1:1/sinch", project: p, app: a, key_id: i, key_secret: x, settle: 0s}
  y: {provider: bluesky, identifier: me, password: x}
`, nil)
	require.NoError(t, err)
	accounts := c.Accounts()
	require.Equal(t, "https://api.bird.com", accounts[0].BaseURL)
	require.Equal(t, "https://auth.sinch.com/oauth2/token", accounts[1].TokenURL)
	require.Equal(t, "https://bsky.social", accounts[2].BaseURL)
	require.EqualValues(t, 0, accounts[1].Policy().Settle, "settle: 0s is none, not the default")
	require.EqualValues(t, 5000, accounts[0].Policy().Settle)
}

func TestRouter(t *testing.T) {
	t.Parallel()
	c := example(t)
	r := c.Router("default")
	require.Nil(t, r.Allowed)
	require.Equal(t, message.Route{Dialect: "sinch", Channel: "SMS", Hops: []string{"sinch-eu", "bird-main"}}, r.Routes[0])
	require.Equal(t, message.Policy{Provider: "webhook", OnUnknown: message.Resend, Settle: 5000, Reconciles: true, Group: message.LargestGroup, NoReports: true}, r.Accounts["hook"])
	require.Equal(t, []string{"bird-main", "hook"}, c.Router("acme").Allowed)
	require.Equal(t, []string{}, c.Router("stranger").Allowed, "a tenant that is not configured may use nothing")
}

func TestRatesAreThoseOfAccountsThatHaveOne(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts:
  fast: {provider: webhook, url: "https://h/", secret: x, rate: 600/min}
  free: {provider: webhook, url: "https://h/", secret: x}
`, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"fast": 10}, c.Rates())
	require.Empty(t, config.Default().Rates())
}

func TestTenants(t *testing.T) {
	t.Parallel()
	acme := example(t).Tenants["acme"]
	require.Equal(t, "acme-s3cret", acme.Keys[0].Secret.Reveal())
	require.Equal(t, []string{"bird", "volley"}, acme.Dialects)
	require.InDelta(t, 100, acme.Rate, 0)
	require.Equal(t, 3, acme.Priority)
	require.Equal(t, 2, example(t).Caller("acme").MaxPriority)
	require.Equal(t, "DE", acme.DefaultRegion)
	require.Equal(t, "DE", example(t).Caller("acme").Region)
	require.Equal(t, "Europe/Berlin", acme.Timezone.String())
	require.Len(t, acme.BirdWorkspaces, 1)
	require.Equal(t, []string{}, acme.SinchProjects)
	require.Equal(t, "https://acme.example.com/events", acme.CallbackURL)
	require.Equal(t, "cb-s3cret", acme.CallbackSecret.Reveal())
}

func TestTheEnvironmentIsNeverReadAsYAML(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts:
  flow: {provider: webhook, url: "https://${HOST}/x", secret: ${ODD}}
  literal: {provider: webhook, url: https://h/, secret: pa$$word-$${ODD}-$x}
tenants: {acme: {keys: ["${PLAIN}"]}}
`, map[string]string{"HOST": "h:1", "ODD": "a: {b}, # ]\n${PLAIN}", "PLAIN": "plain"})
	require.NoError(t, err)
	accounts := c.Accounts()
	require.Equal(t, "a: {b}, # ]\n${PLAIN}", accounts[0].Secret)
	require.Equal(t, "https://h:1/x", accounts[0].URL)
	require.Equal(t, "pa$$word-${ODD}-$x", accounts[1].Secret)
	require.Equal(t, "plain", c.Tenants["acme"].Keys[0].Secret.Reveal())
}

func TestUnits(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts: {h: {provider: webhook, url: https://h, secret: s, rate: 90/min, retry: {initial: 500ms, max: 1d12h, attempts: "7"}}}
activity_summaries: false
limits: {body_bytes: 1024, inline_bytes: 512KiB, group_above: 5000}
store_retention: 1d12h
`, nil)
	require.NoError(t, err)
	h := c.Accounts()[0]
	require.Equal(t, 36*time.Hour, h.RetryMax)
	require.InDelta(t, 1.5, h.Rate, 1e-9)
	require.Equal(t, 500*time.Millisecond, h.RetryInitial)
	require.Equal(t, 7, h.Attempts)
	require.False(t, c.ActivitySummaries)
	require.EqualValues(t, 1024, c.Limits.BodyBytes)
	require.Equal(t, 512<<10, c.Limits.InlineBytes)
	require.Equal(t, 36*time.Hour, c.StoreRetention)
}

func TestLoadWithoutSecretsNeedsNoVariables(t *testing.T) {
	t.Parallel()
	c, err := config.LoadWithoutSecrets("../../examples/volley.yaml", environment(nil))
	require.NoError(t, err)
	require.Len(t, c.Router("default").Accounts, 5)

	_, err = config.LoadWithoutSecrets(write(t, "task_queue: ${Q}\n"), environment(nil))
	require.ErrorContains(t, err, "the environment variable Q is not set", "only secrets may be absent")
}

func TestAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), environment(nil))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Editors on Windows begin a file with a byte order mark, or write UTF-16.
func TestEncodings(t *testing.T) {
	t.Parallel()
	const text = "accounts:\n  hook: {provider: webhook, url: \"http://127.0.0.1:1/x\", secret: abc}\nroutes:\n  - {dialect: volley, hops: [hook]}\n"
	c, err := load(t, "\ufeff"+text, nil)
	require.NoError(t, err)
	require.Equal(t, "hook", c.Accounts()[0].Name)
	_, err = load(t, "\ufeffaccount: {}\n"+text, nil)
	require.ErrorContains(t, err, "1:1 account: unknown key")

	little, big := "\xff\xfe", "\xfe\xff"
	for _, r := range text {
		little += string([]byte{byte(r), 0})
		big += string([]byte{0, byte(r)})
	}
	for _, wide := range []string{little, big, little[2:]} {
		_, err = load(t, wide, nil)
		require.ErrorContains(t, err, "the file is in UTF-16, save it as UTF-8")
	}
	_, err = load(t, text+"# caf\xe9\n", nil)
	require.ErrorContains(t, err, "the file is not in UTF-8")
}

func TestCallbacks(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
accounts:
  sinch-eu: {provider: sinch, base_url: "https://s", project: p-1, app: app-1, key_id: i, key_secret: x}
  sinch-us: {provider: sinch, base_url: "https://s", project: p-2, app: app-2, key_id: i, key_secret: x}
  hook: {provider: webhook, url: "https://h/", secret: next, previous_secret: last}
tenants:
  acme: {accounts: [sinch-eu], callbacks: {secret: s1, previous_secret: s0, events: [message.*, batch.completed]}}
  other: {callbacks: {secret: s2}}
`, nil)
	require.NoError(t, err)
	o := c.Callbacks()
	require.Equal(t, callback.Tenant{
		Secret: "s1", PreviousSecret: "s0", Events: []string{"message.*", "batch.completed"}, SinchApps: map[string]string{"app-1": "p-1"},
	}, o.Tenants["acme"])
	require.Nil(t, o.Tenants["other"].Events)
	require.Equal(t, map[string]string{"app-1": "p-1", "app-2": "p-2"}, o.Tenants["other"].SinchApps)
	require.Equal(t, map[string]string{"sinch-eu": "p-1", "sinch-us": "p-2"}, o.SinchProjects)
	require.Equal(t, "last", c.Accounts()[0].PreviousSecret)
}

func TestTenantsWithKeysThatCanBeGuessed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`tenants:
  short: {keys: [0123456789abcdef, tooshort]}
  good: {keys: [fedcba9876543210]}
  letters: {keys: [ääääääää]}
  none: {}
`), 0o600))
	c, err := config.Load(file, environment(nil))
	require.NoError(t, err)
	require.Equal(t, []string{"letters", "short"}, c.WeakTenants())
}

func TestKeysHaveNames(t *testing.T) {
	t.Parallel()
	c, err := load(t, `tenants: {acme: {keys: [first, {name: crm, key: "${A}"}, third, {key: fourth}]}}`, map[string]string{"A": "second"})
	require.NoError(t, err)
	require.Equal(t, []string{"key-1", "crm", "key-3", "key-4"}, names(c.Tenants["acme"].Keys))
	require.Equal(t, "second", c.Tenants["acme"].Keys[1].Secret.Reveal())
	callers := c.Callers()
	require.Equal(t, "crm", callers[0].Keys[1].Name)
	require.Equal(t, intake.HashKey("second"), callers[0].Keys[1].Hash)
}

func names(keys []config.Key) (all []string) {
	for _, k := range keys {
		all = append(all, k.Name)
	}
	return all
}

func TestEncryptionIsOnlyWhatTheFileSays(t *testing.T) {
	t.Parallel()
	const text = "encryption: {keyset: \"${VOLLEY_KEYSET}\"}\n"
	env := map[string]string{"VOLLEY_KEYSET": `{"key": [], "x": "#"}`}
	c, err := load(t, text, env)
	require.NoError(t, err)
	require.JSONEq(t, env["VOLLEY_KEYSET"], c.Keyset.Reveal())
	require.False(t, c.KeysetUnset)

	c, err = load(t, "", env)
	require.NoError(t, err)
	require.True(t, c.Keyset.IsZero(), "the environment alone switches nothing on")

	c, err = config.LoadWithoutSecrets(write(t, text), environment(nil))
	require.NoError(t, err)
	require.True(t, c.KeysetUnset, "it is on, and not known here")
	_, err = config.LoadWithoutSecrets(write(t, text), environment(map[string]string{"VOLLEY_KEYSET": ""}))
	require.ErrorContains(t, err, "encryption.keyset: must not be empty")
	_, err = load(t, text, nil)
	require.ErrorContains(t, err, "encryption.keyset: the environment variable VOLLEY_KEYSET is not set")
}

func TestTracesAreOnlyWhatTheFileSays(t *testing.T) {
	t.Parallel()
	c, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, config.Traces{}, c.Traces)
	c, err = load(t, "otel: {}\n", nil)
	require.NoError(t, err)
	require.Equal(t, config.Traces{On: true, Sample: -1}, c.Traces)

	page, err := os.ReadFile("../../docs/tracing.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(page), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	c, err = load(t, block, nil)
	require.NoError(t, err)
	require.Equal(t, "http://collector:4318", c.Traces.Endpoint.Reveal(), "what the page says is read")

	const text = "otel: {endpoint: \"${COLLECTOR}\", sample: 0.1}\n"
	c, err = load(t, text, map[string]string{"COLLECTOR": "https://user:s3cret@collector:4318"})
	require.NoError(t, err)
	require.True(t, c.Traces.On)
	require.InDelta(t, 0.1, c.Traces.Sample, 0)
	require.Equal(t, "https://user:s3cret@collector:4318", c.Traces.Endpoint.Reveal())
	_, err = load(t, text, nil)
	require.ErrorContains(t, err, "otel.endpoint: the environment variable COLLECTOR is not set")
	c, err = config.LoadWithoutSecrets(write(t, text), environment(nil))
	require.NoError(t, err)
	require.False(t, c.Traces.On, "nobody listens at the default address")
}
