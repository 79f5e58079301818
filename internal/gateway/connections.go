package gateway

import (
	"net"
	"net/netip"
	"sync"
)

// maxConnections is how many connections are open at once, where Options do not say.
const maxConnections = 4096

// limitedListener closes connections that are too many at once. An address may have as
// many as it leaves to others: half of all where nobody else has any.
type limitedListener struct {
	net.Listener

	most int
	mu   sync.Mutex
	open int
	by   map[netip.Prefix]int
}

func limitConnections(l net.Listener, most int) *limitedListener {
	return &limitedListener{Listener: l, most: most, by: map[netip.Prefix]int{}}
}

// Accept returns the next connection that is not too many.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := networkOf(conn.RemoteAddr().String())
		if l.enter(address) {
			return &limitedConn{Conn: conn, left: func() { l.leave(address) }}, nil
		}
		_ = conn.Close() // nobody hears of it
	}
}

func (l *limitedListener) enter(address netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by[address] >= l.most-l.open {
		return false
	}
	l.open++
	l.by[address]++
	return true
}

func (l *limitedListener) leave(address netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.by[address]--; l.by[address] == 0 {
		delete(l.by, address)
	}
}

// limitedConn is a connection that counts until it is closed.
type limitedConn struct {
	net.Conn

	once sync.Once
	left func()
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	c.once.Do(c.left)
	return c.Conn.Close()
}
