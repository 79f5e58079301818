package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/config"
)

func TestTenantsWithShortKeysAreNamedOnceAndTheirKeysNever(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Tenants["acme"] = config.Tenant{Keys: []config.Key{{Name: "a", Secret: config.NewSecret("hunter2")}, {Name: "b", Secret: config.NewSecret("hunter3")}}}
	c.Tenants["good"] = config.Tenant{Keys: []config.Key{{Name: "a", Secret: config.NewSecret("0123456789abcdef")}}}
	core, logs := observer.New(zap.InfoLevel)
	warnWeak(c, zap.New(core))
	require.Len(t, logs.All(), 1)
	entry := logs.All()[0]
	require.Equal(t, zap.WarnLevel, entry.Level)
	require.Equal(t, map[string]any{"tenant": "acme"}, entry.ContextMap())
	require.NotContains(t, entry.Message, "hunter")
}
