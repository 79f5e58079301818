// Package nodetest lets tests drive clients and tools of others that are packages of
// npm.
package nodetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wait bounds what Node does in one test, the installation of packages included.
const wait = 3 * time.Minute

// Install installs a folder's packages somewhere else and returns what runs a script
// there. Without Node, and without a way to the packages, the test is skipped.
func Install(t *testing.T, folder string) func(script string, args ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Node, and packages of npm")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs Node, and there is no %s on the path", tool)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), wait)
	t.Cleanup(cancel)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(folder)))
	install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install the packages of %s, is it offline? %v\n%s", folder, err, out)
	}
	return func(script string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join(dir, script)}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				t.Fatalf("%s: %v\n%s", script, err, exit.Stderr)
			}
			t.Fatalf("%s: %v", script, err)
		}
		return out
	}
}
