package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

// What the accounts of the lab are bound to, and the paths that follow from it.
const (
	workspace = "11111111-2222-4333-8444-555555555555"
	channel   = "66666666-7777-4888-8999-000000000000"
	project   = "22222222-3333-4444-8555-666666666666"
	sinchApp  = "01EB37HMH1M6SV18ASNS3G135H"

	birdChannel   = "/workspaces/" + workspace + "/channels/" + channel
	birdSubmit    = birdChannel + "/batch/messages"
	sinchMessages = "/v1/projects/" + project + "/messages"
	imkitBatch    = "/messages/batch"
	blueskyBatch  = "/xrpc/chat.bsky.convo.sendMessageBatch"
)

// Tenants of every gateway; a tenant's key is its name. Those of one test see no
// batches but its own.
const (
	acme  = "acme"
	other = "stranger"
)

// vendors are accounts at the sandbox of every provider that a dialect comes from.
func (l *lab) vendors() []provider.Account {
	return []provider.Account{
		{Name: "bird-main", Provider: "bird", BaseURL: l.url + "/bird", Workspace: workspace, Channel: channel, AccessKey: "sandbox", Settle: time.Second},
		{
			Name: "sinch-eu", Provider: "sinch", BaseURL: l.url + "/sinch", TokenURL: l.url + "/sinch/oauth2/token", Project: project, App: sinchApp,
			KeyID: "sandbox", KeySecret: "sandbox", Settle: time.Second,
		},
		{Name: "imkit-main", Provider: "imkit", BaseURL: l.url + "/imkit", APIKey: "sandbox", Sender: "support", Settle: time.Second},
		{Name: "bsky-main", Provider: "bluesky", BaseURL: l.url + "/bluesky", Identifier: "shop.example.com", Password: "sandbox", Settle: time.Second},
	}
}

// gatewayConfig writes a gateway's configuration in the mode of the tests, with a
// store, and with tenants beside the two that are always there.
func (l *lab) gatewayConfig(t *testing.T, tenants ...string) string {
	t.Helper()
	limits := "in_flight: 100"
	switch mode {
	case segments:
		limits += ", inline_messages: 1"
	case groups:
		limits += ", inline_messages: 1, group_above: 1"
	}
	var keys strings.Builder
	for _, name := range append(tenants, acme, other) {
		fmt.Fprintf(&keys, "  %s: {keys: [%s]}\n", name, name)
	}
	text := strings.NewReplacer("SANDBOX", l.url, "STORE", l.address, "SECRET", hookSecret, "LIMITS", limits, "TENANTS\n", keys.String(),
		"WORKSPACE", workspace, "CHANNEL", channel, "PROJECT", project, "APP", sinchApp).Replace(`
store: STORE
accounts:
  bird-main: {provider: bird, base_url: SANDBOX/bird, workspace: WORKSPACE, channel: CHANNEL, access_key: sandbox, settle: 1s}
  sinch-eu: {provider: sinch, base_url: SANDBOX/sinch, token_url: SANDBOX/sinch/oauth2/token, project: PROJECT, app: APP, key_id: sandbox, key_secret: sandbox, settle: 1s}
  imkit-main: {provider: imkit, base_url: SANDBOX/imkit, api_key: sandbox, sender: support, settle: 1s}
  bsky-main: {provider: bluesky, base_url: SANDBOX/bluesky, identifier: shop.example.com, password: sandbox, settle: 1s}
  hook: {provider: webhook, url: SANDBOX/webhook/hook, secret: SECRET, reconcile: true, settle: 1s}
  idle: {provider: webhook, url: SANDBOX/webhook/idle, secret: SECRET, reconcile: true, settle: 1s}
routes:
  - {dialect: bird, hops: [bird-main]}
  - {dialect: sinch, hops: [sinch-eu]}
  - {dialect: imkit, hops: [imkit-main]}
  - {dialect: bluesky, hops: [bsky-main]}
  - {dialect: volley, hops: [hook]}
tenants:
TENANTS
limits: {LIMITS}
search_metadata: [campaign]
`)
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// gateway is a running volley gateway, and a client of it.
type gateway struct {
	t   *testing.T
	url string
	// all are the addresses of those that calls go to by turns; none is this one alone.
	all   []string
	calls atomic.Int64
	cmd   *exec.Cmd
	// ended gets what became of the process.
	ended chan error
}

// gateway starts a gateway before the lab's server and waits until it serves.
func (l *lab) gateway(t *testing.T, config string) *gateway {
	t.Helper()
	return gatewayAt(t, config, l.server.Address())
}

func gatewayAt(t *testing.T, config, temporal string) *gateway {
	t.Helper()
	cmd := exec.Command(volley(t), "gateway", "--config", config, "--listen", "127.0.0.1:0", "--log-format", "json") // killed by hand
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+temporal)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	g := &gateway{t: t, cmd: cmd, ended: make(chan error, 1)}
	address := make(chan string, 1)
	var log strings.Builder
	go func() {
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Address != "" && line.Msg == "gateway serves" {
				address <- line.Address
			}
		}
		close(address)
		g.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = g.await() // killed
		if t.Failed() {
			t.Logf("gateway:\n%s", log.String()[max(0, log.Len()-4000):])
		}
	})
	at := <-address
	require.NotEmpty(t, at, "the gateway ended early")
	g.url = "http://" + at
	return g
}

// await waits for the end of the process and returns what became of it.
func (g *gateway) await() error {
	err := <-g.ended
	g.ended <- err
	return err
}

// reply is an answer that was read to its end.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// errCut means that a request had no answer.
var errCut = errors.New("no answer")

// request asks for something; headers are "Name: value". An answer that breaks off
// is none.
func request(ctx context.Context, method, target string, body io.Reader, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return reply{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, errors.Join(errCut, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, errors.Join(errCut, err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(text)}, nil
}

// next is the address of whose turn it is.
func (g *gateway) next() string {
	if len(g.all) == 0 {
		return g.url
	}
	return g.all[int(g.calls.Add(1))%len(g.all)]
}

// call makes a request that must have an answer.
func (g *gateway) call(method, path, body string, headers ...string) reply {
	g.t.Helper()
	r, err := request(g.t.Context(), method, g.next()+path, strings.NewReader(body), headers...)
	require.NoError(g.t, err)
	r.t = g.t
	return r
}

// as calls Volley's own API or Sinch's or Bluesky's as a tenant.
func (g *gateway) as(tenant, method, path, body string, headers ...string) reply {
	g.t.Helper()
	return g.call(method, path, body, append(headers, "Authorization: Bearer "+tenant, asJSON)...)
}

func (g *gateway) bird(method, path, body string, headers ...string) reply {
	g.t.Helper()
	return g.call(method, path, body, append(headers, "Authorization: AccessKey "+acme, asJSON)...)
}

func (g *gateway) imkit(method, path, body string, headers ...string) reply {
	g.t.Helper()
	return g.call(method, path, body, append(headers, "IM-API-KEY: "+acme, asJSON)...)
}

const asJSON = "Content-Type: application/json"

// is requires a status.
func (r reply) is(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	return r
}

// read requires a status and reads the answer as JSON.
func read[T any](r reply, status int) (v T) {
	r.t.Helper()
	r.is(status)
	require.NoError(r.t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// batch is the id that the answer to a submit carries.
func (r reply) batch() string {
	r.t.Helper()
	id := r.header.Get("Volley-Batch-Id")
	require.NotEmpty(r.t, id, r.body)
	return id
}

// front is a gateway of the test's own in front of the shared lab, or as many as the
// fleet has.
func front(t *testing.T) *gateway {
	t.Helper()
	config := shared.gatewayConfig(t)
	g := shared.gateway(t, config)
	g.all = []string{g.url}
	for range fleet - 1 {
		g.all = append(g.all, shared.gateway(t, config).url)
	}
	return g
}

// together runs the same at once, n times.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}
