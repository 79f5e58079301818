package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
	"go.uber.org/zap"

	"volley/dev/ownhost"
)

type webUI struct {
	address string
	server  *uiserver.Server
	front   *http.Server
	done    sync.WaitGroup
}

// startUI serves the Web UI, whose files are part of the binary, and returns
// once it answers. It answers under names of this host and those in UIHosts; since it cannot
// do that itself, it serves a port of its own, behind one that does.
func startUI(ctx context.Context, port int, temporal string, o Options) (*webUI, error) {
	behind, inner, err := hiddenPort(ctx)
	if err != nil {
		return nil, fmt.Errorf("web UI: %w", err)
	}
	u := &webUI{address: address(port)}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", u.address)
	if err != nil {
		return nil, fmt.Errorf("web UI: %w", err)
	}
	target := &url.URL{Scheme: "http", Host: net.JoinHostPort(behind, strconv.Itoa(inner))}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}, ErrorLog: zap.NewStdLog(zap.NewNop())} // it is not there yet, or no more
	u.front = &http.Server{Handler: ownhost.Only(proxy, o.UIHosts...), ReadHeaderTimeout: 10 * time.Second}
	u.done.Go(func() { _ = u.front.Serve(l) }) // it only returns once stop is called
	u.server = uiserver.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: temporal,
		Host:                behind,
		Port:                inner,
		EnableUI:            true,
		// A reset forgets attempts, and their messages would go out again.
		WorkflowResetDisabled: true,
		DefaultNamespace:      o.Namespace,
		DisableNewsFetch:      true,
		HideLogs:              true,
		Codec:                 uiconfig.Codec{Endpoint: o.UICodec},
		CORS:                  uiconfig.CORS{CookieInsecure: true},
	}))
	u.done.Go(func() { _ = u.server.Start() }) // the same
	err = poll(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.address+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
	if err != nil {
		u.stop()
		return nil, fmt.Errorf("web UI: %w", err)
	}
	return u, nil
}

func (u *webUI) stop() {
	_ = u.front.Close() // nothing that is asked here is worth waiting for
	u.server.Stop()
	u.done.Wait()
}

// hiddenPort is a free port of the loopback that nobody can guess: on Linux at any of its
// sixteen million addresses.
func hiddenPort(ctx context.Context) (at string, port int, err error) {
	at = host
	if runtime.GOOS == "linux" {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		b[2] |= 2              // no network's own address, and not the usual one
		at = netip.AddrFrom4([4]byte{127, b[0], b[1], b[2]}).String()
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(at, "0"))
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = l.Close() }()
	return at, l.Addr().(*net.TCPAddr).Port, nil
}

// poll repeats f until it succeeds or ctx ends, and then returns f's last error.
func poll(ctx context.Context, f func(context.Context) error) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-t.C:
		}
	}
}
