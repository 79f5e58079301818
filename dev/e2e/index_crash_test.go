package e2e_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/pgtest"
	"volley/internal/index"
	"volley/internal/message"
)

// indexing sends a batch through workers that are processes of their own and fill an index,
// lets something happen to them meanwhile, and requires that everything was sent once and that
// the index has what results have.
func indexing(t *testing.T, url string, meanwhile func(l *lab, x *index.Later, work func() *exec.Cmd)) {
	t.Helper()
	l, work := spawned(t, 100*time.Millisecond, `index: {url: "`+url+`"}`)
	all := notes(t, 2_000)
	for i := range all {
		if i%5 == 0 {
			all[i].To += "+slow"
		}
	}
	ref := l.start(t, l.starter, l.served[0].Name, all)
	x := index.NewLater(func(ctx context.Context) (*index.Index, error) { return index.Open(ctx, index.Options{URL: url}) })
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	meanwhile(l, x, work)
	_, rows := l.wait(t, ref)
	require.Len(t, rows, len(all))
	for _, row := range rows {
		require.Equal(t, message.Sent, row.State, "message %d: %s %s", row.Index, row.Code, row.Detail)
	}
	l.agree(t, rows)
	l.indexedAs(t, x, ref)
}

// inIndex counts the messages that have ended by an index.
func inIndex(t *testing.T, x *index.Later) (n int) {
	t.Helper()
	stats, err := x.Stats(t.Context(), index.StatsQuery{})
	require.NoError(t, err)
	for i := range stats {
		n += stats[i].Total
	}
	return n
}

// TestTheIndexOfWorkersThatAreKilledHasWhatResultsHave kills those who fill the index at any
// point, and stops one for longer than its lease, beside one that takes over.
func TestTheIndexOfWorkersThatAreKilledHasWhatResultsHave(t *testing.T) {
	t.Parallel()
	indexing(t, "sqlite://"+filepath.ToSlash(filepath.Join(t.TempDir(), "index.db")), func(l *lab, x *index.Later, work func() *exec.Cmd) {
		for _, enough := range []int64{300, 800} {
			w := work()
			l.some(t, enough)
			kill(w)
		}
		stopped := work()
		l.some(t, 1_000)
		require.NoError(t, stopped.Process.Signal(syscall.SIGSTOP))
		t.Cleanup(func() { _ = stopped.Process.Signal(syscall.SIGCONT) }) // else it cannot end
		before := inIndex(t, x)
		work()
		require.Eventually(t, func() bool { return inIndex(t, x) > before }, 3*time.Minute, 200*time.Millisecond, "another one takes over")
		require.NoError(t, stopped.Process.Signal(syscall.SIGCONT))
	})
}

// TestTheIndexGoesOnWhenPostgreSQLIsBack takes the database away in the middle: messages leave
// all the same, but for those of a worker that begins meanwhile, which does not know who wants
// none.
func TestTheIndexGoesOnWhenPostgreSQLIsBack(t *testing.T) {
	t.Parallel()
	pg, err := pgtest.Start(t.Context())
	if errors.Is(err, pgtest.ErrMissing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Stop()) })
	indexing(t, pg.URL("postgres"), func(l *lab, _ *index.Later, work func() *exec.Cmd) {
		w := work()
		l.some(t, 300)
		pg.Halt()
		l.some(t, 900)
		kill(w)
		require.Less(t, l.sandbox.Counts().Total, int64(2_000), "not all have left")
		work()
		require.NoError(t, pg.Resume(t.Context()))
	})
}
