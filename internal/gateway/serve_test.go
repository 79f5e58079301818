package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
)

// listen serves the gateway of a testEnv until leave is called or the test ends, and returns
// its address.
func listen(t *testing.T, b *testEnv) (address string, leave func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, leave := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- b.g.Serve(ctx, l) }()
	t.Cleanup(func() {
		leave()
		require.NoError(t, <-served)
	})
	return "http://" + l.Addr().String(), leave
}

func TestARequestThatBreaksOffStartsNothing(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	address, _ := listen(t, b)
	line := `{"to":"+15550001111","reference":"` + strings.Repeat("r", 60) + `"}` + "\n"
	for name, rows := range map[string]int{"in its first bytes": 3, "where it is read bit by bit": 60_000} {
		for _, encoding := range []string{"Transfer-Encoding: chunked", "Content-Length: 9000000"} {
			body := `{"text":"hi"}` + "\n" + strings.Repeat(line, rows)
			if strings.HasPrefix(encoding, "T") {
				body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
			}
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n%s", acmeKey, encoding, body)
			require.NoError(t, err)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			answer, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s, %s: %s", name, encoding, answer)
			require.NoError(t, conn.Close())
		}
	}
	require.Empty(t, b.batches)
}

func TestABodyThatIsFramedWronglyIsTheClientsFault(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one)
	address, _ := listen(t, b)
	for _, target := range []string{"/v1/batches", "/v1/batches/b1:cancel", "/messages/batch", sinchMessages} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIM-API-KEY: %[2]s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", target, acmeKey)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s: %s", target, answer)
		require.NoError(t, conn.Close())
	}
	require.Len(t, b.batches, 1)
}

// A client that writes all of its request before it reads sees why it is refused.
func TestARefusalIsSeenByAClientThatFirstWritesAll(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.g.HoldAtMost(1 << 20)
	address, _ := listen(t, b)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	body := bytes.Repeat([]byte(" "), 12<<20)
	_, err = fmt.Fprintf(conn, "POST /v1/batches HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", acmeKey, len(body))
	require.NoError(t, err)
	_, err = conn.Write(body)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.True(t, res.Close)
}

func TestAGatewayHasAsManyConnectionsAsTheConfigSays(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *gateway.Options) { o.Connections = 16 })
	address, _ := listen(t, b)
	open := 0
	for range 12 { // one address leaves half of them to others
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			continue // it was closed already
		}
		if answer, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
			require.Equal(t, "HTTP/1.1 200 OK\r\n", answer)
			open++
		}
	}
	require.Equal(t, 8, open)
}
