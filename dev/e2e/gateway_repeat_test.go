package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// submit is a batch as a client of its dialect sends it.
type submit struct {
	path, body, auth string
	messages         int
}

func (s submit) to(g *gateway, headers ...string) reply {
	g.t.Helper()
	return g.call("POST", s.path, s.body, append(headers, s.auth, asJSON)...)
}

// submits is a batch of the test in each dialect that has clients of its own.
func submits(t *testing.T) map[string]submit {
	bearer := "Authorization: Bearer " + acme
	return map[string]submit{
		"bird":    {birdSubmit, birdBody(t, 0, 3), "Authorization: AccessKey " + acme, 3},
		"sinch":   {sinchMessages, sinchBody(t, "", ""), bearer, 2},
		"imkit":   {imkitBatch, fmt.Sprintf(`{"messageType":"text","message":"Hi","paras":[{"receiver":%q}]}`, to(t, 0, "")), "IM-API-KEY: " + acme, 1},
		"bluesky": {blueskyBatch, fmt.Sprintf(`{"items":[{"convoId":%q,"message":{"text":"Hi"}}]}`, to(t, 0, "")), bearer, 1},
	}
}

// open is a connection over which raw requests go.
func (g *gateway) open() *net.TCPConn {
	g.t.Helper()
	conn, err := new(net.Dialer).DialContext(g.t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// head is the beginning of a raw request.
func head(method, path string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: volley\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

func TestASubmitWhoseAnswerWasLostIsRepeatedAtAnyGateway(t *testing.T) {
	t.Parallel()
	l := shared
	config := l.gatewayConfig(t)
	one, two := l.gateway(t, config), l.gateway(t, config)
	for _, name := range []string{"bird", "sinch", "imkit", "bluesky"} {
		t.Run(name, func(t *testing.T) {
			s := submits(t)[name]
			key := "Idempotency-Key: " + t.Name()
			conn := one.open()
			_, err := fmt.Fprint(conn, head("POST", s.path, s.auth, asJSON, key, fmt.Sprint("Content-Length: ", len(s.body))), s.body)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Eventually(t, func() bool { return l.arrived(t) == s.messages }, time.Minute, 20*time.Millisecond, "it was taken all the same")

			first := s.to(one, key)
			second := s.to(two, key)
			require.Less(t, first.status, 300, first.body)
			require.Equal(t, first.body, second.body)
			require.Equal(t, first.status, second.status)
			require.Equal(t, first.batch(), second.batch())
			s.body = strings.Replace(s.body, "Hi", "Ho", 1) + " "
			s.to(two, key).is(http.StatusConflict)
			l.wait(t, ofAcme(first.batch()))
			require.Equal(t, s.messages, l.arrived(t))
		})
	}
}

func TestTwoGatewaysWithTheSameKeyStartOneBatch(t *testing.T) {
	t.Parallel()
	l := shared
	config := l.gatewayConfig(t)
	gates := []*gateway{l.gateway(t, config), l.gateway(t, config)}
	const keys, each = 15, 4
	answers := make([][each]reply, keys)
	together(keys*each, func(i int) {
		k := i / each
		r, err := request(t.Context(), "POST", gates[i%2].url+birdSubmit, strings.NewReader(birdBody(t, 2*k, 2)),
			"Authorization: AccessKey "+acme, asJSON, fmt.Sprintf("Idempotency-Key: %s-%d", t.Name(), k))
		if err != nil {
			t.Error(err)
		}
		r.t = t
		answers[k][i%each] = r
	})
	batches := map[string]bool{}
	for _, same := range answers {
		for _, r := range same {
			r.is(http.StatusAccepted)
			require.Equal(t, same[0].body, r.body)
		}
		batches[same[0].batch()] = true
	}
	require.Len(t, batches, keys)
	l.sentOnce(t, acme, batches)
	require.Equal(t, 2*keys, l.arrived(t))
}

// sentOnce waits for batches and checks that each of their messages went out once.
func (l *lab) sentOnce(t *testing.T, tenant string, batches map[string]bool) {
	t.Helper()
	var all []message.Row
	for id := range batches {
		status, rows := l.wait(t, starter.Ref{Tenant: tenant, ID: id})
		require.Equal(t, status.Total, status.Counts[message.Sent])
		all = append(all, rows...)
	}
	l.agree(t, all)
}

// listed are the batches of a tenant, once there are so many.
func (l *lab) listed(t *testing.T, tenant string, n int) map[string]bool {
	t.Helper()
	var all map[string]bool
	require.Eventually(t, func() bool { // the index lags
		page, err := l.starter.List(t.Context(), starter.ListQuery{Tenant: tenant, Limit: 1000})
		all = map[string]bool{}
		for _, b := range page.Batches {
			all[b.ID] = true
		}
		return err == nil && len(all) >= n
	}, time.Minute, 200*time.Millisecond)
	return all
}

func TestAGatewayThatIsKilledLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	l := shared
	const tenant, clients, each, some = "killed", 50, 2, 30
	config := l.gatewayConfig(t, tenant)
	killed := l.gateway(t, config)
	var url atomic.Value
	url.Store(killed.url)
	enough, again := make(chan struct{}), make(chan struct{})
	var answered atomic.Int64
	var lost atomic.Int64
	batches := make([]string, clients*each)
	var wg sync.WaitGroup
	wg.Go(func() {
		together(clients, func(client int) {
			for i := client * each; i < (client+1)*each; i++ {
				for tries := 0; batches[i] == ""; tries++ {
					r, err := request(t.Context(), "POST", url.Load().(string)+birdSubmit, strings.NewReader(birdBody(t, 2*i, 2)),
						"Authorization: AccessKey "+tenant, asJSON, fmt.Sprintf("Idempotency-Key: %s-%d", t.Name(), i))
					switch {
					case err == nil && r.status == http.StatusAccepted:
						batches[i] = r.header.Get("Volley-Batch-Id")
						if answered.Add(1) == some {
							close(enough)
						}
					case err == nil || tries == 2:
						t.Errorf("client %d: %v %d %s", client, err, r.status, r.body)
						return
					default:
						lost.Add(1)
						<-again
					}
				}
			}
		})
	})
	<-enough
	require.NoError(t, killed.cmd.Process.Kill())
	next := l.gateway(t, config)
	url.Store(next.url)
	close(again)
	wg.Wait()
	require.Positive(t, lost.Load(), "clients were in the middle of it")
	one := map[string]bool{}
	for _, id := range batches {
		one[id] = true
	}
	require.Len(t, one, clients*each)
	l.sentOnce(t, tenant, one)
	require.Equal(t, 2*clients*each, l.arrived(t))
	require.Equal(t, one, l.listed(t, tenant, clients*each))
}

func TestAGatewayThatIsToEndEndsWhatItHasBegun(t *testing.T) {
	t.Parallel()
	l := shared
	const tenant, clients = "ended", 20
	g := l.gateway(t, l.gatewayConfig(t, tenant))
	body := birdBody(t, 0, 2)
	held := g.open()
	_, err := fmt.Fprint(held, head("POST", birdSubmit, "Authorization: AccessKey "+tenant, asJSON, "Expect: 100-continue", fmt.Sprint("Content-Length: ", len(body))))
	require.NoError(t, err)
	require.Contains(t, readAnswer(t, held), "100 Continue", "the gateway waits for the body")

	some := make(chan struct{})
	var answered atomic.Int64
	var mu sync.Mutex
	accepted := map[string]bool{}
	var wg sync.WaitGroup
	wg.Go(func() {
		together(clients, func(client int) {
			for i := 0; ; i++ {
				r, err := request(t.Context(), "POST", g.url+birdSubmit, strings.NewReader(birdBody(t, 1000*(client+1)+2*i, 2)),
					"Authorization: AccessKey "+tenant, asJSON)
				if err != nil {
					return // it has ended
				}
				if r.status != http.StatusAccepted {
					t.Errorf("%d %s", r.status, r.body)
					return
				}
				mu.Lock()
				accepted[r.header.Get("Volley-Batch-Id")] = true
				mu.Unlock()
				if answered.Add(1) == clients {
					close(some)
				}
			}
		})
	})
	<-some
	require.NoError(t, g.cmd.Process.Signal(syscall.SIGTERM))
	wg.Wait()
	_, err = fmt.Fprint(held, body)
	require.NoError(t, err)
	require.Contains(t, readAnswer(t, held), "202 Accepted")
	require.NoError(t, g.await())
	l.sentOnce(t, tenant, accepted)
	all := l.listed(t, tenant, len(accepted)+1)
	for id := range accepted {
		require.Contains(t, all, id)
	}
}

// readAnswer is the next that comes over a connection.
func readAnswer(t *testing.T, conn net.Conn) string {
	t.Helper()
	buf := make([]byte, 4<<10)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	return string(buf[:n])
}
