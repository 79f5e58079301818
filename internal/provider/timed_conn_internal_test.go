package provider

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// It is internal because nothing outside can stop a process between the look at a deadline
// and the write of a request.
func TestNothingLeavesAfterTheTimeOfARequest(t *testing.T) {
	t.Parallel()
	var came atomic.Int64
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		came.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	for name, s := range map[string]*httptest.Server{"http": httptest.NewServer(handler), "https": httptest.NewTLSServer(handler)} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(s.Close)
			transport := NewTransport(1, false)
			if s.TLS != nil {
				transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
			}
			before := came.Load()
			post := func(until time.Time) error {
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(i httptrace.GotConnInfo) { leaveBy(i.Conn, until) },
				})
				req, err := newRequest(ctx, call{method: http.MethodPost, url: s.URL, body: []byte(strings.Repeat("x", 10_000))})
				require.NoError(t, err)
				resp, err := transport.RoundTrip(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					require.NoError(t, resp.Body.Close())
				}
				return err
			}
			require.NoError(t, post(time.Now().Add(time.Minute)))
			err := post(time.Now().Add(-time.Nanosecond))
			require.ErrorIs(t, err, errLate)
			require.Equal(t, before+1, came.Load())
			require.NoError(t, post(time.Now().Add(time.Minute)), "another connection has its own time")
			require.Equal(t, before+2, came.Load())

			e := lost(t.Context(), err, true)
			require.Equal(t, Unavailable, e.Kind, "nothing of it can have arrived")
			require.Equal(t, CodeTimeout, e.Code)
		})
	}
}

func TestARequestThatHasLeftInPartIsInDoubt(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	conn, err := NewTransport(1, false).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	leaveBy(conn, time.Now().Add(time.Minute))
	_, err = conn.Write([]byte("POST"))
	require.NoError(t, err)
	past := time.Now().Add(-time.Nanosecond)
	conn.(*timedConn).until.Store(&past)
	_, err = conn.Write([]byte(" / HTTP/1.1\r\n"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, errLate)
	require.Equal(t, Ambiguous, lost(t.Context(), err, true).Kind)
}
