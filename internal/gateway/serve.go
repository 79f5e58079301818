package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Bounds of the HTTP server.
const (
	// headerWait is how long the head of a request may take.
	headerWait = 10 * time.Second
	idleWait   = 2 * time.Minute
	// leaveWait is how long requests under way may take to end.
	leaveWait = 30 * time.Second
	// maxHeader bounds the head of a request, in bytes.
	maxHeader = 64 << 10
)

// Serve answers what comes in at l until ctx ends; then requests under way have 30 s
// to end, and streams are ended. It is called once, and closes l. The error is that
// serving failed, or that requests were cut.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: g, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader,
		ErrorLog: zap.NewStdLog(g.o.Log.Named("http")),
	}
	s.RegisterOnShutdown(func() { close(g.leaving) })
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(limitConnections(l, cmp.Or(g.o.Connections, maxConnections))) }()
	g.o.Log.Info("gateway serves", zap.String("address", l.Addr().String()))
	select {
	case err := <-failed:
		return fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	}
	g.o.Log.Info("gateway drains")
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	if err := s.Shutdown(lctx); err != nil {
		_ = s.Close() // the first error counts
		return fmt.Errorf("requests under way were cut: %w", err)
	}
	return nil
}
