package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/internal/audit"
	"volley/internal/config"
)

// withPeople is a service whose configuration has people, or has not.
func withPeople(t *testing.T, people string) *service {
	t.Helper()
	file := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(file, []byte("tenants: {acme: {keys: [0123456789abcdef]}}\n"+people), 0o600))
	c, err := config.Load(file, os.LookupEnv)
	require.NoError(t, err)
	return &service{config: c, log: zap.NewNop()}
}

const ann = "people: [{name: ann, role: viewer, key: 0123456789abcdeX}]\n"

func consoleAt(t *testing.T, args ...string) *consoleFlags {
	t.Helper()
	var f consoleFlags
	cmd := &cobra.Command{}
	f.add(cmd)
	require.NoError(t, cmd.ParseFlags(args))
	return &f
}

func TestTheConsoleIsThereForPeople(t *testing.T) {
	t.Parallel()
	c, err := consoleAt(t, "--console-listen", "127.0.0.1:0").open(t.Context(), withPeople(t, ann), audit.New(audit.Options{}), nil)
	require.NoError(t, err)
	require.NoError(t, c.beside(t.Context(), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.l.Addr().String()+"/login", nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		return res.Body.Close()
	}))
}

func TestWithoutPeopleThereIsNoConsole(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*consoleFlags{"by default": consoleAt(t), "switched off": consoleAt(t, "--console-listen", "")} {
		c, err := f.open(t.Context(), withPeople(t, ""), nil, nil)
		require.NoError(t, err, name)
		require.Nil(t, c.pages, name)
	}
	_, err := consoleAt(t, "--console-listen", "127.0.0.1:0").open(t.Context(), withPeople(t, ""), nil, nil)
	require.ErrorContains(t, err, "no people")
}

func TestATakenAddressThatSomebodyChoseIsAnError(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	_, err = consoleAt(t, "--console-listen", l.Addr().String()).open(t.Context(), withPeople(t, ann), nil, nil)
	require.ErrorContains(t, err, "--console-listen")
}
