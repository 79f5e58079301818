package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/index"
	"volley/starter"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	f := fake{purged: starter.Purged{Folders: 2, Objects: 1205, Bytes: 300 << 20, List: []starter.PurgedFolder{
		{
			Dir: "default/2026-09-01/b1~0a1b2c3d", Tenant: "default", Batch: "b1", Written: moment.Add(-60 * 24 * time.Hour),
			Objects: 1200, Bytes: 299 << 20, Reason: starter.PurgeOld,
		},
		{
			Dir: "acme/2026-11-18/b2~0a1b2c3d", Tenant: "acme", Batch: "b2", Written: moment.Add(-48 * time.Hour),
			Objects: 5, Bytes: 1 << 20, Reason: starter.PurgeUnfinished,
		},
	}}}
	both(t, "purge", with(f), "purge")
	both(t, "purge.dry", with(f), "purge", "--dry-run")
	both(t, "purge.nothing", with(fake{}), "purge")

	for age, want := range map[string]time.Duration{"": 30 * 24 * time.Hour, "7d": 7 * 24 * time.Hour, "90m": 90 * time.Minute} {
		args := []string{"purge", "--dry-run"}
		if age != "" {
			args = append(args, "--older-than", age)
		}
		require.Equal(t, 0, setting{fake: &f}.run(t, args...).code)
		require.Equal(t, [2]any{want, true}, f.asked)
	}
	r := setting{}.run(t, "purge", "--tenant", "default")
	require.Equal(t, 2, r.code)
	require.Equal(t, "volley: --tenant does not limit a purge, which is of the whole store\n", r.stderr)
	r = setting{}.run(t, "purge", "--older-than", "soon")
	require.Equal(t, 2, r.code)
	require.Equal(t, "volley: --older-than \"soon\" must be a duration such as 30s, 15m, 12h or 30d\n", r.stderr)
	require.Equal(t, 1, with(fake{err: starter.ErrUnreachable})().run(t, "purge").code)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	both(t, "delete", with(fake{}), "delete", "b1")
	f := &fake{}
	require.Equal(t, 0, setting{fake: f}.run(t, "delete", "b1", "--tenant", "acme").code)
	require.Equal(t, starter.Ref{Tenant: "acme", ID: "b1"}, f.ref)
	for err, code := range map[error]int{starter.ErrNotFound: 4, starter.ErrUnreachable: 1, starter.ErrStillRunning: 1} {
		require.Equal(t, code, with(fake{err: err})().run(t, "delete", "b1").code)
	}
}

func TestDeleteTakesABatchOutOfTheIndex(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "index.db"))
	env := func(url string) []string {
		return []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"index: {url: \""+url+"\"}\n")}
	}
	x, err := index.Open(t.Context(), index.Options{URL: url})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	for err, code := range map[error]int{nil: 0, starter.ErrNotFound: 0, starter.ErrDeletionPending: 0, starter.ErrStillRunning: 1} {
		require.NoError(t, x.Put(t.Context(), index.Batch{Tenant: "default", ID: "b1", CreatedAt: moment.Add(-time.Hour)}, []index.Message{{To: "+4915123456789", Rev: 1}}))
		r := setting{fake: &fake{err: err}, env: env(url)}.run(t, "delete", "b1")
		require.Equal(t, code, r.code, r.stderr)
		page, ferr := x.Find(t.Context(), index.FindQuery{To: "+4915123456789"})
		require.NoError(t, ferr)
		require.Equal(t, code != 0, len(page.Messages) == 1, "%v", err)
	}
	require.Equal(t, 4, setting{fake: &fake{err: starter.ErrNotFound}, env: env(url)}.run(t, "delete", "b2").code, "nobody has it")

	away := env("sqlite:///nowhere/index.db")
	r := setting{fake: &fake{}, env: away}.run(t, "delete", "b1", "-o", "json")
	require.Zero(t, r.code, r.stderr)
	require.JSONEq(t, `{"batch":"b1","deleted":true,"indexed":true}`, r.stdout)
	require.Contains(t, r.stderr, "a worker takes the batch out of it later")
	require.Equal(t, 4, setting{fake: &fake{err: starter.ErrNotFound}, env: away}.run(t, "delete", "b1").code)
}
