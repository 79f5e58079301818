package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

type webUI struct {
	address string
	server  *uiserver.Server
	done    chan struct{}
}

// startUI serves the Web UI, whose files are part of the binary, and returns
// once it answers.
func startUI(ctx context.Context, port int, temporal, namespace string) (*webUI, error) {
	u := &webUI{address: address(port), done: make(chan struct{})}
	u.server = uiserver.NewServer(server_options.WithConfigProvider(&uiconfig.Config{
		TemporalGRPCAddress: temporal,
		Host:                host,
		Port:                port,
		EnableUI:            true,
		DefaultNamespace:    namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true},
	}))
	go func() {
		defer close(u.done)
		_ = u.server.Start() // it only returns once stop is called
	}()
	err := poll(ctx, func(ctx context.Context) error {
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
	u.server.Stop()
	<-u.done
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
