package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// TestTheExamplesOfHelpWork runs every example of every command as it would run in
// the repository. It changes the directory and cannot run beside others.
func TestTheExamplesOfHelpWork(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir+"/examples", os.DirFS("examples")))
	t.Chdir(dir) // --out writes here
	config, err := os.OpenFile("examples/volley.yaml", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = config.WriteString("\naudit: {file: " + filepath.Join(dir, "audit.jsonl") + "}\nindex: {url: sqlite://" + filepath.ToSlash(filepath.Join(dir, "index.db")) + "}\n")
	require.NoError(t, err)
	require.NoError(t, config.Close())
	x, err := index.Open(t.Context(), index.Options{URL: "sqlite://" + filepath.ToSlash(filepath.Join(dir, "index.db"))})
	require.NoError(t, err)
	copier := audit.NewCopier(x, nil)
	require.NoError(t, audit.New(audit.Options{File: "audit.jsonl", Copy: copier}).Write(audit.Entry{Action: "cancel", Result: "ok", Batch: "spring-sale"}, ""))
	copier.Close()
	require.NoError(t, x.Close())

	root := (&app{now: time.Now}).root()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(cmd.Example), "\n") {
			t.Run(strings.TrimSpace(line), func(t *testing.T) {
				words := shellWords(t, line)
				require.Equal(t, "volley", words[0])
				if cmd.Name() == "worker" || cmd.Name() == "gateway" || cmd.Name() == "codec" || cmd.Name() == "chaos" {
					requireParses(t, root, words[1:])
					return
				}
				end := ended(message.Counts{message.Sent: 5})
				f := &fake{
					statuses: []message.Status{end}, rows: someRows(), row: someRows()[0], started: starter.Started{ID: "b2", Total: 5},
					cancel: message.CancelResult{Batch: "b1", Confirmed: true}, move: message.RescheduleResult{Batch: "b1"},
				}
				r := setting{fake: f, env: []string{"VOLLEY_CONFIG=examples/volley.yaml"}}.run(t, words[1:]...)
				require.Equal(t, 0, r.code, r.stderr)
				require.NotEmpty(t, r.stdout)
			})
		}
	}
}

// requireParses checks the flags of a command that would not end, and the file that
// --config names.
func requireParses(t *testing.T, root *cobra.Command, words []string) {
	t.Helper()
	cmd, rest, err := root.Find(words)
	require.NoError(t, err)
	require.NoError(t, cmd.ParseFlags(rest))
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()))
	if file := cmd.Flag("config"); file.Changed {
		require.FileExists(t, file.Value.String())
	}
}

// shellWords splits a line into words, which single quotes may hold together.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
