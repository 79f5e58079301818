package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	httpgateway "volley/internal/gateway"
	"volley/internal/intake"
)

// switchedProxy is a way to an address that can be shut.
type switchedProxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

// newSwitchedProxy opens a gate that closes with the test.
func newSwitchedProxy(t *testing.T, to string) *switchedProxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &switchedProxy{Listener: l, to: to}
	t.Cleanup(func() { _ = l.Close(); g.set(true) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(conn)
		}
	}()
	return g
}

// pass joins a connection with one to the other side.
func (g *switchedProxy) pass(in net.Conn) {
	defer in.Close()
	out, err := new(net.Dialer).Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	shut := g.shut
	g.conns = append(g.conns, in, out)
	g.mu.Unlock()
	if shut {
		return
	}
	go func() { _, _ = io.Copy(out, in) }()
	_, _ = io.Copy(in, out)
}

// set shuts the gate, and cuts all that is under way, or opens it.
func (g *switchedProxy) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

func TestWithoutTemporalNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	l := shared
	const tenant = "alone"
	way := newSwitchedProxy(t, l.server.Address())
	g := gatewayAt(t, l.gatewayConfig(t, tenant), way.Addr().String())
	g.call("GET", "/readyz", "").is(http.StatusOK)
	body := ownBody(t, "hook", notes(t, 3))
	key := "Idempotency-Key: " + t.Name()
	way.set(true)
	// A call on a connection whose end nobody has noticed may have left.
	require.Eventually(t, func() bool { return g.call("GET", "/readyz", "").status == http.StatusServiceUnavailable }, time.Minute, 50*time.Millisecond)
	for _, path := range []string{"/v1/batches", "/v1/batches?dispatch=group"} {
		r := g.as(tenant, "POST", path, body, key).is(http.StatusServiceUnavailable)
		require.Equal(t, "5", r.header.Get("Retry-After"))
		require.Contains(t, r.body, `"code":"unavailable"`)
		require.Empty(t, r.header.Get("Volley-Batch-Id"))
	}
	g.call("GET", "/healthz", "").is(http.StatusOK)
	require.Empty(t, l.files(t, tenant+"/"))
	way.set(false)

	require.Eventually(t, func() bool { return g.call("GET", "/readyz", "").status == http.StatusOK }, time.Minute, 50*time.Millisecond)
	r := g.as(tenant, "POST", "/v1/batches", body, key).is(http.StatusAccepted)
	l.sentOnce(t, tenant, map[string]bool{r.batch(): true})
	require.Len(t, l.listed(t, tenant, 1), 1)
	require.Equal(t, 3, l.arrived(t))
}

// pipes is a listener whose connections are net.Pipes, on which the clock of a
// synctest bubble has its hand.
type pipes struct {
	conns chan net.Conn
	end   chan struct{}
}

func (p *pipes) dial() net.Conn {
	in, out := net.Pipe()
	p.conns <- in
	return out
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.end); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestClientsThatAreTooSlowAreCut(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		request string
		answer  string
		after   time.Duration
	}{
		"before the head is there": {"POST /v1/batches HTTP/1.1\r\nHost:", "", 10 * time.Second},
		"before the body comes": {
			head("POST", "/v1/batches", "Authorization: Bearer k", "Content-Length: 100"), "HTTP/1.1 408 Request Timeout", 30 * time.Second,
		},
		"in the middle of a chunk": {
			head("POST", "/v1/batches", "Authorization: Bearer k", "Transfer-Encoding: chunked") + "ff\r\n{\"text\":", "HTTP/1.1 408 Request Timeout", 30 * time.Second,
		},
		"in a dialect": {
			head("POST", blueskyBatch, "Authorization: Bearer k", asJSON, "Content-Length: 100") + "{", "HTTP/1.1 408 Request Timeout", 30 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := httpgateway.New(httpgateway.Options{
					Batches: shared.starter, // which nothing gets to
					Tenants: []intake.Caller{{Tenant: "t", Keys: []intake.Key{{Name: "key-1", Hash: intake.HashKey("k")}}}}, Limits: intake.Limits{BodyBytes: 1 << 20},
				})
				p := &pipes{conns: make(chan net.Conn), end: make(chan struct{})}
				ctx, leave := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- g.Serve(ctx, p) }()
				conn := p.dial()
				began := time.Now()
				_, err := io.WriteString(conn, x.request)
				require.NoError(t, err)
				answer, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(string(answer), x.answer), "%s", answer)
				require.Equal(t, x.answer == "", len(answer) == 0)
				require.Equal(t, x.after, time.Since(began).Truncate(time.Second))
				leave()
				require.NoError(t, <-served)
			})
		})
	}
}
