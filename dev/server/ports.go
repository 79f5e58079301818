package server

import (
	"context"
	"fmt"
	"net"
	"runtime"
)

type ports struct {
	frontend, http, history, matching, worker, ui int
}

func pickPorts(ctx context.Context, o Options) (ports, error) {
	var p ports
	wanted := []struct {
		name string
		port int
		to   *int
	}{
		{"temporal", o.Port, &p.frontend},
		{"temporal HTTP", 0, &p.http},
		{"history", 0, &p.history},
		{"matching", 0, &p.matching},
		{"worker", 0, &p.worker},
	}
	if o.UI {
		wanted = append(wanted, struct {
			name string
			port int
			to   *int
		}{"web UI", o.UIPort, &p.ui})
	}
	for _, w := range wanted {
		port, err := freePort(ctx, w.port)
		if err != nil {
			return ports{}, fmt.Errorf("%s port: %w", w.name, err)
		}
		*w.to = port
	}
	return p, nil
}

// freePort checks that a port can be listened on; 0 picks one. The server opens
// its listeners itself, so there is a gap in which another process could take
// the port. Where the system picks ports at random, a connection that the
// listening side closed first keeps a picked port out of that lottery for a
// minute, while a listener that names it may still open it.
func freePort(ctx context.Context, port int) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address(port))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	if port != 0 || runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	a, err := l.Accept()
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, a.Close()
}
