package provider

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// writes is a connection that counts what it is given to write.
type writes struct {
	net.Conn
	n *atomic.Int64
}

func (w writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

func TestAHeaderAndItsBodyLeaveTogether(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	t.Cleanup(srv.Close)
	var n atomic.Int64
	tr := NewTransport(1, false)
	t.Cleanup(tr.CloseIdleConnections)
	tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return writes{conn, &n}, err
	}
	c := &client{transport: tr, now: time.Now, log: zap.NewNop()}
	q := call{method: http.MethodPost, url: srv.URL, body: []byte(strings.Repeat("x", 1000))}
	req, err := newRequest(t.Context(), q)
	require.NoError(t, err)
	require.Nil(t, req.GetBody, "net/http must not be able to send it again")
	_, err = c.roundTrip(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, <-got, 1000)
	require.EqualValues(t, 1, n.Load())
}
