package e2e_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// lossyProxy passes requests on to a server, and loses answers: of a connection on which
// a request with certain bytes came, all answers from then on.
type lossyProxy struct {
	net.Listener
	to string
	// broken cuts such a connection instead of the answer, as a server does that dies;
	// otherwise nothing tells the client.
	broken bool

	mu    sync.Mutex
	names []byte // what a request has in it whose answer is lost
	left  int    // on how many more connections answers are lost
	dead  []net.Conn
}

// newLossyProxy loses answers on the first connections on which a request has text in it.
func newLossyProxy(t *testing.T, to, text string, connections int, broken bool) *lossyProxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &lossyProxy{Listener: l, to: to, broken: broken, names: []byte(text), left: connections}
	t.Cleanup(func() { _ = l.Close(); w.heal() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(conn)
		}
	}()
	return w
}

func (w *lossyProxy) address() string { return w.Addr().String() }

// lose loses answers anew.
func (w *lossyProxy) lose(text string, connections int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names, w.left = []byte(text), connections
}

// heal loses no more answers, and cuts the connections on which they were lost.
func (w *lossyProxy) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = 0
	for _, c := range w.dead {
		_ = c.Close()
	}
	w.dead = nil
}

// loses reports whether the answer to a request is lost.
func (w *lossyProxy) loses(request []byte, conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 || !bytes.Contains(request, w.names) {
		return false
	}
	w.left--
	w.dead = append(w.dead, conns...)
	return true
}

// pass joins a connection with one to the server.
func (w *lossyProxy) pass(in net.Conn) {
	defer in.Close()
	out, err := new(net.Dialer).Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer out.Close()
	lost := make(chan struct{}) // closed once answers are lost
	go func() {
		defer out.Close()
		buf := make([]byte, 64<<10)
		for cut := false; ; {
			n, err := in.Read(buf)
			if !cut && n > 0 && w.loses(buf[:n], in, out) {
				cut = true
				close(lost)
			}
			if _, werr := out.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		select {
		case <-lost:
			if w.broken {
				return
			}
			_, _ = io.Copy(io.Discard, out)
			return
		default:
		}
		if _, werr := in.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
