package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"volley/dev/pgtest"
	"volley/internal/index"
	"volley/internal/message"
)

// The tests of internal/index run on SQLite by themselves. Here they run on PostgreSQL, which
// then goes away.
func TestTheIndexIsTheSameInPostgreSQL(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./internal/index")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "VOLLEY_TEST_PG="+pg.URL("postgres"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	x, err := index.Open(t.Context(), index.Options{URL: pg.URL("postgres")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	_, err = x.Find(t.Context(), index.FindQuery{Text: "+4915112345678"})
	require.NoError(t, err)
	require.NoError(t, pg.Stop())
	_, err = x.Find(t.Context(), index.FindQuery{Text: "+4915112345678"})
	require.ErrorIs(t, err, index.ErrUnavailable)
}

// whereIn are the files below a directory that have a text.
func whereIn(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			name, _ := filepath.Rel(dir, path) // it is below
			files = append(files, filepath.ToSlash(name))
		}
		return err
	}))
	return files
}

// TestWhoIsForgottenStandsInNoFileOfPostgreSQL forgets one of whom there are messages on pages
// that were written over before, and samples in the statistics of the planner.
func TestWhoIsForgottenStandsInNoFileOfPostgreSQL(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	x, err := index.Open(t.Context(), index.Options{URL: pg.URL("postgres")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	ctx := t.Context()
	const number, reference, provider = "+4915123456789", "customer-4001", "provider-4711"
	now := time.Now()
	b := index.Batch{Tenant: "default", ID: "b1", State: message.BatchCompleted, Total: 300, CreatedAt: now, FinishedAt: now, Rev: 1, AsOf: now}
	b.Reasons = message.Reasons{{State: message.Failed, Code: "http_400", Count: 1, Detail: "no such number " + number}}
	for rev := int64(1); rev < 6; rev++ {
		var ms []index.Message
		for i := range 300 {
			m := index.Message{Index: i, To: fmt.Sprintf("+49151999%05d", i), Reference: fmt.Sprint("c-", i), ProviderID: fmt.Sprint("p-", i), State: message.Failed, Code: "http_400", Detail: "not there", FinishedAt: now, Rev: rev}
			if i%50 == 7 {
				m.To, m.Reference, m.ProviderID, m.Detail = number, reference, provider, "not "+number
			}
			ms = append(ms, m)
		}
		b.Rev = rev
		require.NoError(t, x.Put(ctx, b, ms))
	}
	_, err = x.Suppress(ctx, []index.Suppression{{Tenant: "default", Recipient: number}})
	require.NoError(t, err)
	sql := func(statement string) {
		t.Helper()
		conn, err := pgx.Connect(ctx, pg.URL("postgres"))
		require.NoError(t, err)
		_, err = conn.Exec(ctx, statement)
		require.NoError(t, errors.Join(err, conn.Close(ctx)))
	}
	sql("VACUUM ANALYZE")
	sql("CHECKPOINT")
	for _, value := range []string{number, reference, provider} {
		require.NotEmpty(t, whereIn(t, filepath.Join(pg.Data(), "base"), value), value)
	}
	n, err := x.Forget(ctx, index.ForgetQuery{Tenant: "default", Recipient: number, Reference: reference, Values: []string{number}})
	require.NoError(t, err)
	require.Equal(t, 6, n)
	require.NoError(t, x.Compact(ctx))
	require.NotEmpty(t, whereIn(t, filepath.Join(pg.Data(), "pg_wal"), number), "the log keeps it until it is used again")
	pg.Halt()
	var left []string
	for _, value := range []string{number, number[1:], reference, provider} {
		for _, file := range whereIn(t, pg.Data(), value) {
			if !strings.HasPrefix(file, "pg_wal/") {
				left = append(left, value+" in "+file)
			}
		}
	}
	require.Empty(t, left)
	require.NoError(t, pg.Resume(ctx))
	var page index.FindPage
	require.Eventually(t, func() bool { // a connection that the halt has cut is left after an error
		page, err = x.Find(ctx, index.FindQuery{To: "+4915199900001"})
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	require.Len(t, page.Messages, 1, "others are there")
}
