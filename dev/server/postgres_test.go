package server_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/server"
)

func TestAWrongPostgreSQLAddressIsRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ address, want string }{
		"another kind of URL":   {"mysql://u:s3cret@h/d", "not a postgres URL"},
		"no host":               {"postgres:///d", "not a postgres URL"},
		"no database":           {"postgres://u:s3cret@h", `database ""`},
		"a database's odd name": {"postgres://u:s3cret@h/My-DB", `database "My-DB"`},
		"no URL at all":         {"host=h password=s3cret", "not a postgres URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := server.Start(t.Context(), server.Options{Postgres: x.address})
			require.ErrorContains(t, err, x.want)
			require.ErrorContains(t, err, "postgres://user:password@host:port/name")
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func TestAServerThatIsNotThereIsSaidToBe(t *testing.T) {
	t.Parallel()
	_, err := server.Start(t.Context(), server.Options{Postgres: "postgres://u:s3cret@127.0.0.1:1/d"})
	require.ErrorContains(t, err, "PostgreSQL database d")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestOneDatabaseIsEnough(t *testing.T) {
	t.Parallel()
	_, err := server.Start(t.Context(), server.Options{
		DB: filepath.Join(t.TempDir(), "volley.db"), Postgres: "postgres://u@127.0.0.1:1/d",
	})
	require.ErrorContains(t, err, "one of them is expected")
}
