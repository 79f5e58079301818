package main

import (
	"context"

	"go.uber.org/zap"

	"volley/internal/config"
	"volley/internal/tracing"
)

// openTraces prepares for sending spans; nil is that the configuration wants none.
func openTraces(ctx context.Context, c *config.Config, log *zap.Logger) (*tracing.Traces, error) {
	if !c.Traces.On {
		return nil, nil
	}
	return tracing.Open(ctx, tracing.Options{Endpoint: c.Traces.Endpoint.Reveal(), Sample: c.Traces.Sample, Version: build().Version, Log: log})
}
