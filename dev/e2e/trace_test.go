package e2e_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"volley/internal/message"
	"volley/starter"
)

// collector takes spans as a collector does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	// raw is all that came.
	raw bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req coltracepb.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, rs := range req.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				c.spans = append(c.spans, ss.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// trace are the spans of a trace by name, and by id.
func (c *collector) trace(id string) (named map[string][]*tracepb.Span, byID map[string]*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	named, byID = map[string][]*tracepb.Span{}, map[string]*tracepb.Span{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == id {
			named[s.GetName()] = append(named[s.GetName()], s)
			byID[string(s.GetSpanId())] = s
		}
	}
	return named, byID
}

func (c *collector) everything() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// parents are the heads of the callbacks that an endpoint got.
type parents struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func newParents(t *testing.T) *parents {
	t.Helper()
	p := &parents{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, r.Header.Get("traceparent"))
	}))
	t.Cleanup(p.Close)
	return p
}

// TestOneTraceGoesFromSubmitToCallback follows a batch that a caller's trace is handed
// over with, through processes that have the collector from their configuration.
func TestOneTraceGoesFromSubmitToCallback(t *testing.T) {
	t.Parallel()
	if mode != "" {
		t.Skip("it has batches of both sizes by itself")
	}
	l, spans, ears := shared, newCollector(t), newParents(t)
	text := strings.NewReplacer("SANDBOX", l.url, "STORE", l.address, "SECRET", hookSecret, "COLLECTOR", spans.URL, "EARS", ears.URL, "QUEUE", queueOf(t)).Replace(`
store: STORE
task_queue: QUEUE
accounts:
  traced: {provider: webhook, url: "SANDBOX/webhook/traced?token=tokenintheaddress", secret: SECRET, report_secret: SECRET, reconcile: true, settle: 1s, retry: {initial: 1s, attempts: 2}}
  away: {provider: webhook, url: "http://127.0.0.1:1/pathintheaddress", secret: SECRET, retry: {initial: 1s, attempts: 2}}
routes:
  - {dialect: volley, hops: [traced]}
tenants:
  acme: {keys: [acme], callbacks: {url: "EARS/callbackpath", secret: SECRET, messages: true}}
callbacks: {allow_private: true}
otel: {endpoint: COLLECTOR, sample: 0}
`)
	config := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	spawn(t, []string{"TEMPORAL_ADDRESS=" + l.server.Address()}, volley(t), "worker", "--config", config, "--listen", "")
	g := l.gateway(t, config)

	const traceID, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for size, many := range map[string]int{"small": 0, "large": 40} {
		trace := strings.Replace(traceID, "4b", map[string]string{"small": "4b", "large": "4c"}[size], 1)
		messages := []string{}
		for _, to := range []string{"secretperson", "secretperson+reject", "secretperson+flaky", "secretperson+drop", "+15550009901"} {
			messages = append(messages, fmt.Sprintf(`{"to":%q,"reference":"secretreference","params":{"name":"secretname"}}`, to))
		}
		for i := range many {
			messages = append(messages, fmt.Sprintf(`{"to":"secretperson%d","params":{"name":"secretname"}}`, i))
		}
		messages = append(messages, `{"to":"secretperson","params":{"name":"secretname"},"reference":"secretreference"}`)
		path := "/v1/batches?dialect=volley"
		if many > 0 {
			path += "&dispatch=group"
		}
		id := g.as("acme", http.MethodPost, path, `{"text":"secrettext ${name}","messages":[`+strings.Join(messages, ",")+`]}`,
			"traceparent: 00-"+trace+"-"+caller+"-01").is(http.StatusAccepted).batch()
		ref := starter.Ref{Tenant: "acme", ID: id}
		l.wait(t, ref)
		report := fmt.Sprintf(`{"type":"report","data":{"id":%q,"state":"delivered","detail":"secretdetail"}}`, message.KeyOf(starter.WorkflowID(ref)).MessageID(0))
		signer, err := standardwebhooks.NewWebhook(hookSecret)
		require.NoError(t, err)
		now := time.Now()
		signature, err := signer.Sign("msg_"+size, now, []byte(report))
		require.NoError(t, err)
		g.call(http.MethodPost, "/reports/traced", report, asJSON, "webhook-id: msg_"+size,
			fmt.Sprintf("webhook-timestamp: %d", now.Unix()), "webhook-signature: "+signature).is(http.StatusOK)

		wanted := []string{"submit", "SendBatch", "attempt", "request", "Reconcile", "report", "RouteReports", "Deliver", "callback"}
		if many > 0 {
			wanted = append(wanted, "SendSegment", "SendGroup", "Load", "Keep")
		}
		var named map[string][]*tracepb.Span
		var byID map[string]*tracepb.Span
		require.Eventually(t, func() bool {
			named, byID = spans.trace(trace)
			for _, name := range wanted {
				if len(named[name]) == 0 {
					return false
				}
			}
			return len(named["callback"]) > len(messages) // the report's is the last
		}, time.Minute, 100*time.Millisecond, "%s: of the spans %v some are missing", size, wanted)

		submit := named["submit"][0]
		require.Len(t, named["submit"], 1)
		require.Equal(t, caller, hex.EncodeToString(submit.GetParentSpanId()), "the caller's trace goes on")
		parent := func(s *tracepb.Span) string { return byID[string(s.GetParentSpanId())].GetName() }
		require.Equal(t, "submit", parent(named["SendBatch"][0]))
		require.Equal(t, "submit", parent(named["report"][0]))
		require.Equal(t, "Deliver", parent(named["callback"][0]))
		attempts := map[string]bool{"SendBatch": true}
		if many > 0 {
			attempts = map[string]bool{"SendSegment": true, "SendGroup": true}
			inGroup := 0
			for _, s := range named["attempt"] {
				if parent(s) == "SendGroup" {
					inGroup++
				}
			}
			require.Equal(t, 20*len(named["SendGroup"]), inGroup, "a group has a bounded number of spans")
			require.Equal(t, "SendSegment", parent(named["SendGroup"][0]))
		}
		for _, s := range named["attempt"] {
			require.Contains(t, attempts, parent(s))
		}
		for _, s := range named["request"] {
			require.Contains(t, []string{"attempt", "Reconcile"}, parent(s))
		}
	}

	// One with its provider and its callbacks out of reach, and one that nobody traces.
	away := g.as("acme", http.MethodPost, "/v1/batches?dialect=volley", `{"account":"away","text":"secrettext","callbacks":{"url":"http://127.0.0.1:1/callbackpath"},"messages":[{"to":"secretperson"}]}`,
		"traceparent: 00-4df92f3577b34da6a3ce929d0e0e4736-"+caller+"-01").is(http.StatusAccepted).batch()
	l.wait(t, starter.Ref{Tenant: "acme", ID: away})
	require.Eventually(t, func() bool {
		named, _ := spans.trace("4df92f3577b34da6a3ce929d0e0e4736")
		return len(named["SendBatch"]) > 0 && len(named["attempt"]) == 2 && len(named["callback"]) > 0
	}, time.Minute, 100*time.Millisecond)
	ears.mu.Lock()
	for _, p := range ears.got {
		require.True(t, strings.HasPrefix(p, "00-4"), "a callback names its trace")
	}
	ears.mu.Unlock()
	quiet := g.as("acme", http.MethodPost, "/v1/batches?dialect=volley", `{"text":"secrettext","messages":[{"to":"secretperson"}]}`).is(http.StatusAccepted).batch()
	l.wait(t, starter.Ref{Tenant: "acme", ID: quiet})

	all := spans.everything()
	for _, secret := range []string{
		"secretperson", "15550009901", "secretreference", "secretname", "secrettext", "secretdetail", "tokenintheaddress", "pathintheaddress", "callbackpath", "127.0.0.1", hookSecret,
	} {
		require.NotContains(t, all, secret, "a span has %s", secret)
	}
	require.NotContains(t, all, quiet, "sample is 0, and nobody asked for a trace")
}
