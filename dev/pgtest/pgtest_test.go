package pgtest_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/pgtest"
)

func TestAServerIsThereUntilItStops(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	ask := func() error {
		return exec.CommandContext(t.Context(), "pg_isready", "-q", "-d", s.URL("postgres")).Run()
	}
	require.NoError(t, ask())
	require.NoError(t, s.Stop())
	require.Error(t, ask())
	require.NoError(t, s.Stop(), "again")
}
