package doctor_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/doctor"
	"volley/internal/encryption"
	"volley/internal/index"
)

func TestTheIndexIsLookedAt(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	with := func(k *encryption.Keyset) doctor.Check {
		return doctor.Index(func(ctx context.Context) (*index.Index, error) {
			return index.Open(ctx, index.Options{URL: url, Keys: index.NewKeys(k, "default")})
		})
	}
	k, err := encryption.New()
	require.NoError(t, err)
	isFinding(t, levels(t, doctor.Index(func(context.Context) (*index.Index, error) { return nil, nil })), doctor.OK, "none", "")
	isFinding(t, levels(t, doctor.Index(func(context.Context) (*index.Index, error) { return nil, errors.New("no such host") })), doctor.Wrong, "no such host", "index.url")
	isFinding(t, levels(t, with(nil)), doctor.OK, "0 messages; recipients stand in it in clear, as encryption is off", "")
	isFinding(t, levels(t, with(k)), doctor.Warning, "before encryption was on", "anew")
	isFinding(t, levels(t, with(nil)), doctor.Wrong, "another keyset", "encryption.keyset")
	url += "2"
	isFinding(t, levels(t, with(k)), doctor.OK, "recipients are encrypted", "")
}
