package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell runs a script as a process that is kept, and returns what its log has.
func shell(t *testing.T, script string) (*process, func() string) {
	t.Helper()
	if !canStop {
		t.Skip("there is no shell here")
	}
	file := filepath.Join(t.TempDir(), "log")
	p, err := startProcess("/bin/sh", []string{"-c", script}, os.Environ(), file)
	require.NoError(t, err)
	return p, func() string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
}

func starts(log func() string) int { return strings.Count(log(), "up\n") }

func TestAKilledProcessStartsAgain(t *testing.T) {
	t.Parallel()
	p, log := shell(t, "echo up; sleep 1000")
	require.Eventually(t, func() bool { return starts(log) == 1 }, time.Minute, time.Millisecond)
	p.kill(0)
	require.Eventually(t, func() bool { return starts(log) == 2 }, time.Minute, time.Millisecond)
	require.Zero(t, p.ended.Load(), "it was asked for")
	p.close()
	require.Error(t, p.cmd.Process.Signal(os.Interrupt), "it has ended")
}

func TestAProcessThatEndsByItselfIsCounted(t *testing.T) {
	t.Parallel()
	p, log := shell(t, "echo up")
	require.Eventually(t, func() bool { return starts(log) >= 2 && p.ended.Load() >= 1 }, time.Minute, time.Millisecond)
	p.close()
}

func TestAFrozenProcessStandsStill(t *testing.T) {
	t.Parallel()
	p, log := shell(t, "while true; do echo up; sleep 0.01; done")
	defer p.close()
	require.Eventually(t, func() bool { return starts(log) >= 1 }, time.Minute, time.Millisecond)
	require.NoError(t, stopProcess(p.cmd.Process))
	before := -1
	require.Eventually(t, func() bool { // it stops a moment after the signal
		n := starts(log)
		same := n == before
		before = n
		return same
	}, time.Minute, 100*time.Millisecond)
	p.freeze(0) // ends with a signal to go on
	require.Eventually(t, func() bool { return starts(log) > before }, time.Minute, time.Millisecond)
}
