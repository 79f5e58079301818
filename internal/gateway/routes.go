package gateway

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"time"
)

// openAPI describes Volley's own API.
//
//go:embed openapi.json
var openAPI []byte

// readyWait bounds what /readyz asks.
const readyWait = 3 * time.Second

// routes registers all that the gateway serves.
func (g *Gateway) routes() {
	g.operations()
	g.v1()
	g.reports()
	g.bird()
	g.imkit()
	g.sinch()
	g.bluesky()
}

// operations are what those ask who run the gateway.
func (g *Gateway) operations() {
	g.plain("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	g.plain("GET /readyz", g.ready)
	g.plain("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI) // the client has gone
	})
	if g.o.Metrics != nil {
		g.plain("GET /metrics", g.o.Metrics.ServeHTTP)
	}
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	select {
	case <-g.leaving:
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	default:
	}
	if g.o.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		defer cancel()
		if err := g.o.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}
