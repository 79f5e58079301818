package config_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"volley/internal/config"
)

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	c := example(t)
	s := config.NewSecret("hunter2-s3cret")
	holder := struct {
		Public config.Secret
		hidden config.Secret
		list   []config.Secret
		byName map[string]config.Secret
	}{s, s, []config.Secret{s}, map[string]config.Secret{"a": s}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, holder, &holder, c, *c, c.Tenants} {
			require.NotContains(t, fmt.Sprintf(verb, v), "s3cret")
		}
	}
	require.Equal(t, "<secret>", fmt.Sprint(s))
	require.Equal(t, "<secret>", fmt.Sprintf("%#v", s))

	for _, v := range []any{s, holder, c, map[string]any{"k": s}} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "s3cret")
		b, err = yaml.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(b), "s3cret")
	}
	b, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `"<secret>"`, string(b))
	text, err := s.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "<secret>", string(text))

	line, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(zapcore.Entry{}, []zap.Field{
		zap.Any("config", c), zap.Stringer("secret", s), zap.Any("holder", holder), zap.Reflect("tenants", c.Tenants),
	})
	require.NoError(t, err)
	require.NotContains(t, line.String(), "s3cret")
}

func TestSecretReveals(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x", config.NewSecret("x").Reveal())
	require.Empty(t, config.Secret{}.Reveal())
	require.True(t, config.NewSecret("").IsZero())
	require.False(t, config.NewSecret("x").IsZero())
}
