package index_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
	"volley/internal/index"
	"volley/internal/message"
)

func newKeyset(t *testing.T) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

// with opens an index with a keyset.
func with(t *testing.T, url string, k *encryption.Keyset) (*index.Index, error) {
	t.Helper()
	return index.Open(t.Context(), index.Options{URL: url, Keys: index.NewKeys(k, "default"), Now: noon})
}

// secrets are of one message each, which stands in an index.
func secrets() []string {
	return []string{"+4915112345678", "ref-4711", "said no to +4915112345678", "ann@example.com"}
}

func putSecrets(t *testing.T, x *index.Index) {
	t.Helper()
	s := secrets()
	b := batch("b1")
	b.Reasons = message.Reasons{{State: message.Failed, Code: "rejected", Count: 1, Detail: s[2]}}
	require.NoError(t, x.Put(t.Context(), b, []index.Message{
		{Index: 0, To: s[0], Reference: s[1], Detail: s[2], Others: []string{s[3]}, State: message.Failed, Code: "rejected", FinishedAt: noon(), Rev: 1},
	}))
	require.NoError(t, x.Record(t.Context(), []index.AuditEntry{{Time: noon(), Action: "cancel", Tenant: "default", Batch: "b1", Reason: s[1], Line: []byte(`{"reason":"` + s[1] + `"}`)}}))
}

// requireSecrets finds the message and reads all of it, or only finds it.
func requireSecrets(t *testing.T, x *index.Index, readable bool) {
	t.Helper()
	s := secrets()
	want := []string{s[0], s[1], s[2]}
	if !readable {
		want = []string{"", "", ""}
	}
	for _, text := range []string{s[0], s[1], s[3]} {
		page, err := x.Find(t.Context(), index.FindQuery{Text: text})
		require.NoError(t, err)
		require.Len(t, page.Messages, 1)
		m := page.Messages[0]
		require.Equal(t, want, []string{m.To, m.Reference, m.Detail})
	}
	page, err := x.Batches(t.Context(), index.BatchesQuery{})
	require.NoError(t, err)
	require.Equal(t, readable, len(page.Batches[0].Reasons) == 1)
	audit, _, err := x.Audit(t.Context(), index.AuditQuery{})
	require.NoError(t, err)
	require.Equal(t, readable, audit[0].Reason == s[1])
	require.Equal(t, readable, strings.Contains(string(audit[0].Line), s[1]))
}

// written is all that stands in the files of an index.
func written(t *testing.T, url string) []byte {
	t.Helper()
	files, err := filepath.Glob(strings.TrimPrefix(url, "sqlite://") + "*")
	require.NoError(t, err)
	var all []byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		all = append(all, data...)
	}
	return all
}

func TestNothingOfAPersonIsInTheFileWithEncryption(t *testing.T) {
	t.Parallel()
	for _, encrypted := range []bool{false, true} {
		url := file(t)
		var k *encryption.Keyset
		if encrypted {
			k = newKeyset(t)
		}
		x, err := with(t, url, k)
		require.NoError(t, err)
		putSecrets(t, x)
		requireSecrets(t, x, true)
		for _, s := range secrets()[:3] {
			require.Equal(t, !encrypted, bytes.Contains(written(t, url), []byte(s)), s)
		}
		require.NotContains(t, string(written(t, url)), secrets()[3], "a further address is a hash in either case")
		info, err := os.Stat(strings.TrimPrefix(url, "sqlite://"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		status, err := x.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, encrypted, status.Encrypted)
		require.Equal(t, !encrypted, status.Plain)
		require.NoError(t, x.Close())
	}
}

func TestMessagesAreFoundAfterTheKeysetWasRotated(t *testing.T) {
	t.Parallel()
	url, first := address(t), newKeyset(t)
	reopen := func(k *encryption.Keyset, readable bool) {
		x, err := with(t, url, k)
		require.NoError(t, err)
		requireSecrets(t, x, readable)
		require.NoError(t, x.Close())
	}
	x, err := with(t, url, first)
	require.NoError(t, err)
	putSecrets(t, x)
	require.NoError(t, x.Close())

	both, id, err := first.WithNewKey()
	require.NoError(t, err)
	reopen(both, true)
	promoted, err := both.Promote(id)
	require.NoError(t, err)
	reopen(promoted, true)
	retired, err := promoted.Without(first.Primary())
	require.NoError(t, err)
	reopen(retired, false) // found, and no longer readable

	for name, k := range map[string]*encryption.Keyset{"another": newKeyset(t), "none": nil} {
		_, err := with(t, url, k)
		require.ErrorIs(t, err, index.ErrKeys, name)
	}
}

func TestEncryptionMayBeSwitchedOnLater(t *testing.T) {
	t.Parallel()
	url := address(t)
	x, err := with(t, url, nil)
	require.NoError(t, err)
	putSecrets(t, x)
	require.NoError(t, x.Close())

	k := newKeyset(t)
	x, err = with(t, url, k)
	require.NoError(t, err)
	requireSecrets(t, x, true)
	status, err := x.Status(t.Context())
	require.NoError(t, err)
	require.True(t, status.Encrypted)
	require.True(t, status.Plain, "what is there already stands in clear")
	require.NoError(t, x.Close())
	_, err = with(t, url, nil)
	require.ErrorIs(t, err, index.ErrKeys, "the hashes' key is sealed now")
}
