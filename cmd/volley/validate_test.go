package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		code int
	}{
		"good": {goodBody, 0}, "some": {someBody, 2}, "whole": {"[]", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"text", "json"} {
				s := withConfig(t, nil)
				s.stdin = tt.body
				r := s.run(t, "validate", "--dialect", "volley", "-o", output, "-")
				golden(t, "validate."+name+"."+output, r)
				require.Equal(t, tt.code, r.code)
				golden(t, "validate.render-"+name+"."+output, s.run(t, "validate", "--dialect", "volley", "--render", "-o", output, "-"))
			}
		})
	}
}

func TestValidateNeedsNoConfig(t *testing.T) {
	t.Parallel()
	s := setting{stdin: goodBody}
	r := s.run(t, "validate", "--dialect", "volley", "--render", "-")
	golden(t, "validate.no-config", r)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.stderr, "routing is not checked and defaults apply")
}

// Every example that stands for a dialect can be read without a configuration.
func TestExamples(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, name := range dialectNames() {
		file := filepath.Join("..", "..", "examples", name+".json")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		seen++
		r := setting{}.run(t, "validate", "--dialect", name, "--render", "-o", "json", file)
		doc := document(t, r)
		require.Positive(t, doc["total"], "%s: %s", file, r.stdout)
		require.Positive(t, doc["valid"], "%s: %s", file, r.stdout)
		require.Len(t, doc["messages"], int(doc["total"].(float64)))
	}
	require.Equal(t, len(dialectNames()), seen, "there is an example of every dialect")
}

func TestTheExampleConfigIsWhatTheCommandsRead(t *testing.T) {
	t.Parallel()
	s := setting{env: []string{"VOLLEY_CONFIG=../../examples/volley.yaml"}, stdin: goodBody}
	r := s.run(t, "validate", "--dialect", "volley", "--render", "-", "-o", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, `"account":"hook"`)
}
