package chaos

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// proxy stands between a worker and what it connects to. It passes bytes on until it is
// told to cut all connections, or to slow them down.
type proxy struct {
	listener net.Listener
	to       string

	mu sync.Mutex
	// broken means that no connection is let through.
	broken bool
	delay  time.Duration
	conns  map[net.Conn]bool
}

// openProxy listens on the loopback interface for connections to an address.
func openProxy(ctx context.Context, to string) (*proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", to, err)
	}
	p := &proxy{listener: l, to: to, conns: map[net.Conn]bool{}}
	go p.accept(ctx)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	_ = p.listener.Close()
	p.cut()
}

// cut ends all connections, and lets none through until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	for c := range p.conns {
		_ = c.Close()
	}
}

// slow delays everything that passes from now on; 0 is no delay.
func (p *proxy) slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = by
}

// mend lets everything through again, at once.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken, p.delay = false, 0
}

func (p *proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.join(ctx, conn)
	}
}

// keep notes a connection, or closes it where none is let through.
func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) end(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// join connects a connection with one to where the proxy leads. Either end closes both.
func (p *proxy) join(ctx context.Context, in net.Conn) {
	if !p.keep(in) {
		return
	}
	defer p.end(in)
	out, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.to)
	if err != nil || !p.keep(out) {
		return
	}
	defer p.end(out)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pump(out, in)
	}()
	p.pump(in, out)
	<-done
}

// pump passes bytes on until one of the connections ends, and then ends both.
func (p *proxy) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.wait()
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) wait() {
	p.mu.Lock()
	by := p.delay
	p.mu.Unlock()
	if by > 0 {
		time.Sleep(by)
	}
}
