package chaos_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/chaos"
)

// options are those of a run at a server that only says what runs there.
func options(t *testing.T, open int, calls *[]string) chaos.Options {
	t.Helper()
	return chaos.Options{
		Messages: 100, Seed: 1, Faults: 0.2, Dispatch: "both", Executable: "/bin/false", Temporal: "127.0.0.1:1", Store: "file://" + t.TempDir(),
		Open: func(_ context.Context, file string) (*chaos.Cluster, error) {
			*calls = append(*calls, "open")
			require.FileExists(t, file)
			return &chaos.Cluster{
				OpenBatches: func(context.Context) (int, error) { return open, nil },
				Terminate:   func(context.Context, string) error { return errors.New("there is none") },
				Close:       func() { *calls = append(*calls, "close") },
			}, nil
		},
	}
}

func TestANamespaceWithOpenBatchesIsLeftAlone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var calls []string
	o := options(t, 3, &calls)
	_, err := chaos.Run(t.Context(), o)
	require.ErrorIs(t, err, chaos.ErrOpenBatches)
	require.EqualError(t, err, "the namespace has open batches: 3 of them; --here runs beside them")
	require.Equal(t, []string{"open", "close"}, calls)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	require.NoError(t, err)
	require.Empty(t, left, "nothing stays behind")
}

func TestOptionsThatMakeNoRunAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *chaos.Options){
		"messages 9, expected 10 to 1000000":               func(o *chaos.Options) { o.Messages = 9 },
		"faults 1.5, expected 0% to 100%":                  func(o *chaos.Options) { o.Faults = 1.5 },
		`dispatch "auto", expected message, group or both`: func(o *chaos.Options) { o.Dispatch = "auto" },
		"store: it is in memory, which processes do not share; `store` in the configuration names another one": func(o *chaos.Options) { o.Store = "mem://" },
	} {
		var calls []string
		o := options(t, 0, &calls)
		change(&o)
		_, err := chaos.Run(t.Context(), o)
		require.EqualError(t, err, name)
		require.Empty(t, calls)
	}
}
