package provider_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/internal/provider"
)

// rawServer speaks just enough HTTP to close connections at the worst moment.
type rawServer struct {
	net.Listener
	requests atomic.Int32
	// before is called with the number of a connection's request, from 1, once it
	// has been read whole; false hangs up in place of an answer.
	before func(n int) bool
	// after, when it returns false, hangs up behind the answer, unannounced.
	after func(n int) bool
	wg    sync.WaitGroup
}

func serveRaw(t *testing.T, s *rawServer) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.Listener = l
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(s.wg.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

func (s *rawServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n := 1; ; n++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		s.requests.Add(1)
		_, _ = io.Copy(io.Discard, req.Body)
		if !s.before(n) {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{\"id\":\"1\"}")
		if !s.after(n) {
			return
		}
	}
}

func always(int) bool { return true }

func TestARequestIsNotRepeatedWhenAKeptConnectionBreaks(t *testing.T) {
	t.Parallel()
	s := &rawServer{before: func(n int) bool { return n == 1 }, after: always}
	url := serveRaw(t, s)
	sender := open(t, birdAccount(url))
	m := outgoing("bird", "+15550001111", `{}`)

	_, err := sender.Send(t.Context(), m)
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), m)

	require.Equal(t, provider.Ambiguous, kindOf(t, err))
	require.EqualValues(t, 2, s.requests.Load())
}

func TestNoRequestIsRepeatedWhenIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	s := &rawServer{before: always, after: func(int) bool { return false }}
	url := serveRaw(t, s)
	sender := open(t, birdAccount(url))
	const n = 100
	unsent := 0
	for range n {
		_, err := sender.Send(t.Context(), outgoing("bird", "+15550001111", `{}`))
		if err != nil && kindOf(t, err) == provider.Unavailable {
			unsent++
		}
	}
	require.LessOrEqual(t, int(s.requests.Load()), n-unsent, "what is said not to have left has not, and nothing left twice")
}

func TestWhatFailsBeforeTheFirstByteWasNotSent(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, url := range map[string]string{
		"a certificate that nobody trusts": untrusted.URL,
		"TLS with a server that has none":  strings.Replace(plain.URL, "http:", "https:", 1),
		"a name that does not resolve":     "http://nowhere.invalid",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, birdAccount(url)).Send(t.Context(), outgoing("bird", "+15550001111", `{}`))
			require.Equal(t, provider.Unavailable, kindOf(t, err), "%v", err)
		})
	}
}

func TestALongURLIsInDoubtAsSoonAsThereIsAConnection(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err == nil {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	a := webhookAccount("http://" + l.Addr().String())
	a.URL += strings.Repeat("x", 5000)
	_, err = open(t, a).Send(t.Context(), outgoing("volley", "room", `{}`))
	require.Equal(t, provider.Ambiguous, kindOf(t, err))
}

func TestAnAnswerWithoutEndInItsHeaderIsBounded(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\n")
		for err == nil {
			_, err = io.WriteString(conn, "X-Filler: "+strings.Repeat("x", 1000)+"\r\n")
		}
	}))
	t.Cleanup(srv.Close)
	_, err := open(t, birdAccount(srv.URL)).Send(t.Context(), outgoing("bird", "+15550001111", `{}`))
	require.Equal(t, provider.Ambiguous, kindOf(t, err))
}

func TestSwitchingProtocolsNeitherHangsNorCounts(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		<-closing
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(closing) })
	_, err := open(t, birdAccount(srv.URL)).Send(t.Context(), outgoing("bird", "+15550001111", `{}`))
	require.Equal(t, provider.Ambiguous, kindOf(t, err))
}

func TestACallerThatGivesUpIsNoTimeout(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	_, err := open(t, birdAccount(srv.URL)).Send(ctx, outgoing("bird", "+15550001111", `{}`))
	e := failure(t, err)
	require.Equal(t, provider.Ambiguous, e.Kind)
	require.Equal(t, provider.CodeCanceled, e.Code)
}

func TestAnErrorIsOneShortLine(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, quote(map[string]string{
			"code": strings.Repeat("c", 1000), "message": "a\nb\x1b[31m bird-key-4711" + strings.Repeat("é", 1000),
		}))
	}))
	t.Cleanup(srv.Close)
	_, err := open(t, birdAccount(srv.URL)).Send(t.Context(), outgoing("bird", "+15550001111", `{}`))
	e := failure(t, err)
	require.Equal(t, strings.Repeat("c", 64), e.Code)
	require.Contains(t, e.Detail, "a b [31m ***é")
	require.LessOrEqual(t, len(e.Detail), 200)
}

func failure(t *testing.T, err error) *provider.Error {
	t.Helper()
	var e *provider.Error
	require.ErrorAs(t, err, &e)
	return e
}

func kindOf(t *testing.T, err error) provider.Kind {
	t.Helper()
	return failure(t, err).Kind
}

// A secret of a few characters stands inside words.
func TestShortSecretsAreNotTakenOutOfWords(t *testing.T) {
	t.Parallel()
	srv := record(t, answer(400, `{"message":"the answer has no message_id, key s3cr3t"}`))
	for secret, want := range map[string]string{"s": "the answer has no message_id, key s3cr3t", "s3cr3t": "the answer has no message_id, key ***"} {
		a := webhookAccount(srv.URL)
		a.Secret = secret
		_, err := open(t, a).Send(t.Context(), outgoing("volley", "room", `{}`))
		require.ErrorContains(t, err, want)
	}
}
