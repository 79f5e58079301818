package gateway

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// from is a connection from an address.
type from struct {
	net.Conn
	address net.Addr
	closed  *int
}

func (f from) RemoteAddr() net.Addr { return f.address }

func (f from) Close() error {
	*f.closed++
	return nil
}

// calls is a listener to which connections come from addresses.
type calls struct {
	net.Listener
	from   []string
	closed int
}

func (c *calls) Accept() (net.Conn, error) {
	if len(c.from) == 0 {
		return nil, net.ErrClosed
	}
	address, err := net.ResolveTCPAddr("tcp", c.from[0])
	c.from = c.from[1:]
	return from{address: address, closed: &c.closed}, err
}

func TestAnAddressLeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()
	c := &calls{}
	l := limitConnections(c, 8)
	accept := func(addresses ...string) (conns []net.Conn) {
		c.from = addresses
		for {
			conn, err := l.Accept()
			if err != nil {
				return conns
			}
			conns = append(conns, conn)
		}
	}
	one := accept("192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4", "192.0.2.1:5", "192.0.2.1:6")
	require.Len(t, one, 4, "half of all")
	require.Equal(t, 2, c.closed)
	require.Len(t, accept("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1"), 2, "half of the rest: a network of 64 bits is one")
	require.Len(t, accept("192.0.2.3:1", "192.0.2.3:2"), 1)
	require.Len(t, accept("192.0.2.4:1", "192.0.2.5:1"), 1, "all are open")
	for range 2 { // the second time is nothing
		require.NoError(t, one[0].Close())
	}
	require.Len(t, accept("192.0.2.1:7", "192.0.2.5:1", "192.0.2.6:1"), 1)
	require.Len(t, l.by, 5)
}
