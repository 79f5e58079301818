package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// errLate is in the error of a request of which nothing was written, as its time was over.
var errLate = errors.New("it was not sent in time")

// timedConn is a connection on which no request leaves after its time. A deadline in a
// context does not see to that: a process that stands still between the look at the deadline
// and the write, for as long as others take to make sure that the request did not arrive,
// would write it when it goes on. What is left are the microseconds between the look here
// and the system call.
type timedConn struct {
	net.Conn

	until atomic.Pointer[time.Time]
	wrote atomic.Bool
}

// Write writes nothing after the time that leaveBy gave.
func (c *timedConn) Write(p []byte) (int, error) {
	if until := c.until.Load(); until != nil && time.Now().After(*until) {
		if c.wrote.Load() {
			return 0, context.DeadlineExceeded // a part of it has left
		}
		return 0, fmt.Errorf("%w: %w", errLate, context.DeadlineExceeded)
	}
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.wrote.Store(true)
	}
	return n, err
}

// timed makes the connections of a dialer timed ones.
func timed(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &timedConn{Conn: conn}, nil
	}
}

// leaveBy bounds the request that is next on a connection, which may have TLS around a timed
// one. No byte of it leaves later.
func leaveBy(conn net.Conn, until time.Time) {
	for {
		switch c := conn.(type) {
		case *timedConn:
			c.wrote.Store(false)
			c.until.Store(&until)
			return
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return
		}
	}
}
