package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/pgtest"
	"volley/internal/index"
)

// The tests of internal/index run on SQLite by themselves. Here they run on PostgreSQL, which
// then goes away.
func TestTheIndexIsTheSameInPostgreSQL(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./internal/index")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "VOLLEY_TEST_PG="+pg.URL("postgres"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	x, err := index.Open(t.Context(), index.Options{URL: pg.URL("postgres")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	_, err = x.Find(t.Context(), index.FindQuery{Text: "+4915112345678"})
	require.NoError(t, err)
	require.NoError(t, pg.Stop())
	_, err = x.Find(t.Context(), index.FindQuery{Text: "+4915112345678"})
	require.ErrorIs(t, err, index.ErrUnavailable)
}
