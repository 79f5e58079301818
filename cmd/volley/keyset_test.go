package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/keywatch"
)

// twoKeys is a keyset of two keys at random, 1931667682 which seals and 42, in the form of
// Tink.
const twoKeys = `{"primaryKeyId":1931667682,"key":[` +
	`{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","value":"GiDfE0dg4wlh6jHBPpM2FGXpCv2TDTBCBXSoHZJ3WyTJJg==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1931667682,"outputPrefixType":"TINK"},` +
	`{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","value":"GiBfE0dg4wlh6jHBPpM2FGXpCv2TDTBCBXSoHZJ3WyTJJg==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":42,"outputPrefixType":"TINK"}]}`

// inFile is a setting whose keyset is in a file; empty is one that is not there.
func inFile(t *testing.T, text string) (s setting, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keyset.json")
	if text != "" {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", "encryption: {keyset: \"file://"+path+"\"}\n")}}, path
}

// inEnvironment is a setting whose keyset is a variable; empty is one that is not set.
func inEnvironment(t *testing.T, text string) setting {
	t.Helper()
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", "encryption: {keyset: \"${VOLLEY_KEYSET}\"}\n")}}
	if text != "" {
		s.env = append(s.env, "VOLLEY_KEYSET="+text)
	}
	return s
}

// keysOf are the ids in a keyset, the primary in front.
func keysOf(t *testing.T, text string) (ids []uint32) {
	t.Helper()
	k, err := encryption.Parse([]byte(text))
	require.NoError(t, err)
	for _, key := range k.Keys() {
		if key.Primary {
			ids = append([]uint32{key.ID}, ids...)
		} else {
			ids = append(ids, key.ID)
		}
	}
	return ids
}

// goldenKeyset is golden with names for what is new in each run.
func goldenKeyset(t *testing.T, name string, r result, path string, ids ...uint32) {
	t.Helper()
	replace := []string{}
	if path != "" {
		replace = append(replace, path, "KEYSET.json")
	}
	for i, id := range ids {
		replace = append(replace, fmt.Sprint(id), fmt.Sprintf("100%d", i))
	}
	hide := strings.NewReplacer(replace...)
	r.stdout, r.stderr = hide.Replace(r.stdout), hide.Replace(r.stderr)
	golden(t, name, r)
}

func TestAFirstKeysetIsMade(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"text", "json"} {
		s, path := inFile(t, "")
		r := s.run(t, "keyset", "add", "-o", output)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		ids := keysOf(t, string(data))
		require.Len(t, ids, 1)
		goldenKeyset(t, "keyset.add-first."+output, r, path, ids...)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	for name, s := range map[string]setting{"a variable that is not set": inEnvironment(t, ""), "no configuration": {}} {
		r := s.run(t, "keyset", "add")
		require.Zero(t, r.code, "%s: %s", name, r.stderr)
		require.Len(t, keysOf(t, r.stdout), 1, name)
		require.NotContains(t, r.stderr, "AesGcmKey", "the secret is on stdout alone")
	}
}

func TestAKeysetIsRotatedInItsFile(t *testing.T) {
	t.Parallel()
	s, path := inFile(t, twoKeys)
	read := func() []uint32 {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return keysOf(t, string(data))
	}
	r := s.run(t, "keyset", "add")
	ids := read()
	require.Len(t, ids, 3)
	require.Equal(t, uint32(1931667682), ids[0], "the new key seals nothing yet")
	fresh := ids[2]
	goldenKeyset(t, "keyset.add", r, path, fresh)
	for name, reports := range map[string][]keywatch.Report{
		"missing": {{Process: "volley-1@a", Role: "worker", Keys: []uint32{42, 1931667682, fresh}, Primary: 42}, {Process: "volley-2@b", Role: "gateway", Keys: []uint32{42}, Primary: 42, Since: moment}},
		"silent":  {{Process: "volley-1@a", Role: "worker", Silent: true}},
		"none":    {{Process: "volley-1@a", Role: "worker", Since: moment}},
	} {
		s.reports = reports
		goldenKeyset(t, "keyset.promote-"+name, s.run(t, "keyset", "promote", fmt.Sprint(fresh)), path, fresh)
	}
	require.Equal(t, uint32(1931667682), read()[0], "a key that a process lacks seals nothing")
	s.keysErr = errors.New("temporal is not reachable")
	goldenKeyset(t, "keyset.promote-blind", s.run(t, "keyset", "promote", fmt.Sprint(fresh)), path, fresh)
	require.Zero(t, s.run(t, "keyset", "promote", fmt.Sprint(fresh), "--force").code)
	require.Zero(t, s.run(t, "keyset", "promote", "1931667682", "--force").code)
	s.keysErr, s.reports = nil, []keywatch.Report{{Process: "volley-1@a", Role: "worker", Keys: []uint32{42, 1931667682, fresh}, Primary: 42}}
	goldenKeyset(t, "keyset.promote", s.run(t, "keyset", "promote", fmt.Sprint(fresh)), path, fresh)
	require.Equal(t, []uint32{fresh, 1931667682, 42}, read())

	goldenKeyset(t, "keyset.retire-primary", s.run(t, "keyset", "retire", fmt.Sprint(fresh)), path, fresh)
	goldenKeyset(t, "keyset.retire-unknown", s.run(t, "keyset", "retire", "7", "-o", "json"), path)
	goldenKeyset(t, "keyset.promote-unknown", s.run(t, "keyset", "promote", "7"), path)
	goldenKeyset(t, "keyset.promote-nonsense", s.run(t, "keyset", "promote", "seven"), path)
	require.Len(t, read(), 3)

	for name, u := range map[string]keyUses{
		"objects":   {byKey: map[uint32]keyUse{42: {Objects: 1234, Folder: "acme/2026-11-20/b1~00000000"}}, store: true},
		"marker":    {byKey: map[uint32]keyUse{42: {Objects: 1}}, store: true},
		"workflows": {byKey: map[uint32]keyUse{42: {Workflows: 1, Workflow: "batch-b1"}}, store: true},
	} {
		s.keyUses = u
		goldenKeyset(t, "keyset.retire-"+name, s.run(t, "keyset", "retire", "42"), path)
	}
	require.Len(t, read(), 3, "what is used stays")
	s.keysErr = errors.New("temporal is not reachable")
	goldenKeyset(t, "keyset.retire-blind", s.run(t, "keyset", "retire", "42"), path)
	require.Len(t, read(), 3, "what may be used stays")
	goldenKeyset(t, "keyset.retire-force", s.run(t, "keyset", "retire", "42", "--force"), path)
	require.Equal(t, []uint32{fresh, 1931667682}, read())
	s.keysErr, s.keyUses = nil, keyUses{store: true}
	s.reports = []keywatch.Report{{Process: "volley-1@a", Role: "worker", Keys: []uint32{1931667682, fresh}, Primary: 1931667682, Since: moment}}
	goldenKeyset(t, "keyset.retire-sealing", s.run(t, "keyset", "retire", "1931667682"), path, fresh)
	require.Len(t, read(), 2, "what still seals stays")
	s.reports = nil
	goldenKeyset(t, "keyset.retire", s.run(t, "keyset", "retire", "1931667682"), path)
	require.Equal(t, []uint32{fresh}, read())

	require.NoError(t, os.WriteFile(path+".new", nil, 0o600))
	goldenKeyset(t, "keyset.in-use", s.run(t, "keyset", "add"), path)
	require.Equal(t, []uint32{fresh}, read())
}

func TestAKeysetOfTheEnvironmentIsPrinted(t *testing.T) {
	t.Parallel()
	s := inEnvironment(t, twoKeys)
	r := s.run(t, "keyset", "promote", "42")
	require.Equal(t, []uint32{42, 1931667682}, keysOf(t, r.stdout))
	goldenKeyset(t, "keyset.promote-printed", r, "")

	var doc keysetDocument
	r = s.run(t, "keyset", "add", "-o", "json")
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &doc))
	require.Equal(t, []uint32{1931667682, 42, doc.Key}, keysOf(t, doc.Keyset))
	r = inEnvironment(t, "").run(t, "keyset", "promote", "42")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, "there is no keyset")
}

func TestKeysAreListed(t *testing.T) {
	t.Parallel()
	u := keyUses{store: true, clear: 3, byKey: map[uint32]keyUse{
		1931667682: {Objects: 12000, Workflows: 41}, 42: {Workflows: 2}, 9: {Objects: 1},
	}}
	for _, output := range []string{"text", "json"} {
		s, path := inFile(t, twoKeys)
		s.keyUses = u
		goldenKeyset(t, "keyset.list."+output, s.run(t, "keyset", "list", "-o", output), path)
		goldenKeyset(t, "keyset.list-count."+output, s.run(t, "keyset", "list", "--count", "-o", output), path)
		s, path = inFile(t, "")
		goldenKeyset(t, "keyset.list-none."+output, s.run(t, "keyset", "list", "-o", output), path)
	}
	require.Contains(t, setting{}.run(t, "keyset", "list").stderr, "there is no keyset")
}

// fakeUses is what the keys sealed, as a test says.
func (s setting) fakeUses(context.Context, *app, *config.Config, uint32) (keyUses, error) {
	return s.keyUses, s.keysErr
}
