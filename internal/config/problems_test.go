package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

// Each testdata/err.<rule>.yaml has the problems that it must give beside it.
func TestProblems(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/err.*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(file, environment(map[string]string{"SET": "hunter2", "EMPTY": ""}))
			var problems *config.Error
			require.ErrorAs(t, err, &problems)
			got := strings.ReplaceAll(err.Error(), file, "volley.yaml") + "\n"
			golden := file + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
			require.NotContains(t, got, "hunter2", "what comes from the environment or is secret never shows")
			for _, p := range problems.Problems {
				require.Positive(t, p.Line, "%s has no place", p)
			}
		})
	}
}
