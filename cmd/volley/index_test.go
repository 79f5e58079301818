package main

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
	"volley/internal/index"
)

func TestTheStatusOfTheIndexIsShown(t *testing.T) {
	t.Parallel()
	file := filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	s := setting{fake: &fake{}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: \"sqlite://"+file+"\"}\n")}}
	r := s.run(t, "index", "status")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "SQLite in "+file)
	require.Contains(t, r.stdout, "in clear")
	r = s.run(t, "index", "status", "-o", "json")
	require.Zero(t, r.code, r.stderr)
	var status index.Status
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &status))
	require.Equal(t, "sqlite", status.Kind)
	require.Equal(t, status.Newest, status.Schema)
}

func TestACommandThatNeedsAnIndexSaysSo(t *testing.T) {
	t.Parallel()
	s := setting{fake: &fake{}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig)}}
	r := s.run(t, "index", "status")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "needs an index: set index.url in the configuration")

	away := setting{fake: &fake{}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: \"postgres://u:${PASS}@127.0.0.1:1/v\"}\n"), "PASS=pass4711"}}
	r = away.run(t, "index", "status", "-o", "json")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stdout, `"code":"unreachable"`)
	require.NotContains(t, r.stdout+r.stderr, "pass4711")

	unset := setting{fake: &fake{}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: \"${NOT_SET}\"}\n")}}
	r = unset.run(t, "index", "status")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "index.url refers to a variable")
}

// What is looked up in the index must outlive every key of the keyset.
func TestAKeyThatIsRetiredDoesNotTakeTheIndexWithIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, url := filepath.ToSlash(filepath.Join(dir, "keyset.json")), "sqlite://"+filepath.ToSlash(filepath.Join(dir, "index.db"))
	first, err := encryption.New()
	require.NoError(t, err)
	both, id, err := first.WithNewKey()
	require.NoError(t, err)
	promoted, err := both.Promote(id)
	require.NoError(t, err)
	s := setting{fake: &fake{}, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"encryption: {keyset: \"file://"+keys+"\"}\nindex: {url: \""+url+"\"}\n")}}
	require.NoError(t, encryption.Change(keys, func(*encryption.Keyset) (*encryption.Keyset, error) { return first, nil }))
	require.Contains(t, s.run(t, "index", "status").stdout, "encrypted")
	require.NoError(t, encryption.Change(keys, func(*encryption.Keyset) (*encryption.Keyset, error) { return promoted, nil }))
	r := s.run(t, "keyset", "retire", strconv.FormatUint(uint64(first.Primary()), 10))
	require.Zero(t, r.code, r.stderr)
	r = s.run(t, "index", "status")
	require.Zero(t, r.code, r.stderr)
}
