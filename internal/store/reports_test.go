package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

const lateDir = "default/2026-11-20/b~00000000"

// lateOf is a late report of the message at index, in segments of ten.
func lateOf(index int, s message.State) message.Late {
	return message.Late{
		Index: index, Segment: index/10 + 1, From: message.Sent, State: s, Hop: 1, Attempt: 2, At: int64(1000 + index), Kept: int64(2000 + index),
		ProviderID: fmt.Sprintf("p-%d", index), Code: "c", Detail: "d",
	}
}

func TestABatchWithoutLateReportsHasNone(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	r, err := s.Reported(t.Context(), lateDir)
	require.NoError(t, err)
	require.Zero(t, r)
	found, _, err := s.LateOf(t.Context(), lateDir, r, 1)
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = s.Reported(t.Context(), "../x")
	require.Error(t, err)
}

func TestLateReportsAreReadAsTheyWereKept(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	r, err := s.KeepLate(t.Context(), lateDir, message.Lates{lateOf(3, message.Delivered), lateOf(14, message.Undelivered)}, 100)
	require.NoError(t, err)
	require.Equal(t, 2, r.Count)
	require.EqualValues(t, 101, r.Rev)
	require.Equal(t, message.Moves{message.Sent: {message.Delivered: 1, message.Undelivered: 1}}, r.Moved)
	r, err = s.KeepLate(t.Context(), lateDir, message.Lates{lateOf(4, message.Delivered)}, 50)
	require.NoError(t, err)
	require.EqualValues(t, 102, r.Rev)
	again, err := s.Reported(t.Context(), lateDir)
	require.NoError(t, err)
	require.Equal(t, r, again)

	found, _, err := s.LateOf(t.Context(), lateDir, r, 1)
	require.NoError(t, err)
	want3, want4 := lateOf(3, message.Delivered), lateOf(4, message.Delivered)
	want3.Rev, want4.Rev = 100, 102
	require.Equal(t, map[int]message.Late{3: want3, 4: want4}, found)
	var counts message.Counts
	counts[message.Sent] = 5
	counts = r.Moved.Of(counts)
	require.Equal(t, 2, counts[message.Sent])
	require.Equal(t, 2, counts[message.Delivered])
	require.Equal(t, 5, counts.Total())
}

func TestManyLateReportsStayFewObjects(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	const n = 700 // one a time: logs, runs and blocks
	var r store.Reported
	for i := range n {
		var err error
		r, err = s.KeepLate(t.Context(), lateDir, message.Lates{lateOf((i*9)%n, message.Delivered)}, 1)
		require.NoError(t, err)
	}
	require.Equal(t, n, r.Count)
	require.EqualValues(t, n, r.Rev)
	objects := 0
	for f, err := range s.Folders(t.Context()) {
		require.NoError(t, err)
		require.True(t, f.Reports)
		objects += f.Objects
	}
	require.Equal(t, 1+len(r.Logs)+len(r.Runs)+len(r.Blocks), objects)
	require.Less(t, objects, 40)
	require.Len(t, r.Blocks, 2)
	revs := map[int64]bool{}
	for segment := 1; segment <= n/10; segment++ {
		found, _, err := s.LateOf(t.Context(), lateDir, r, segment)
		require.NoError(t, err)
		require.Len(t, found, 10)
		for i, l := range found {
			require.Equal(t, i, l.Index)
			require.False(t, revs[l.Rev])
			revs[l.Rev] = true
		}
	}
}

func TestAFolderOfReportsIsToldFromOthers(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	dir := store.ReportsDir("", "small", "batch-small", time.Date(2026, 11, 20, 23, 59, 0, 0, time.UTC))
	require.Equal(t, dir, store.ReportsDir("default", "small", "batch-small", time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)))
	require.Regexp(t, `^default/2026-11-20/small~[0-9a-f]{8}$`, dir)
	_, err := s.KeepLate(t.Context(), dir, message.Lates{lateOf(0, message.Delivered)}, 1)
	require.NoError(t, err)
	all, err := s.FindAll(t.Context(), "default", "small")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.True(t, all[0].Reports)
	require.False(t, all[0].Complete)
	none, err := s.Find(t.Context(), "default", "small")
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, s.Delete(t.Context(), dir))
	all, err = s.FindAll(t.Context(), "default", "small")
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestALateReportAsAReportMakesIt(t *testing.T) {
	t.Parallel()
	way := []message.Hop{{Account: "one"}, {Account: "two"}}
	rec := message.Record{State: message.Unknown, Attempts: 2, Hop: 1}
	p := message.Report{State: message.Delivered, Account: "one", At: 5, ProviderID: "p"}
	l, what := message.LateOf(&p, 7, &rec, way, 9)
	require.Equal(t, message.HeardEnd, what)
	require.Equal(t, message.Late{Index: 7, From: message.Unknown, State: message.Delivered, Attempt: 2, At: 5, Kept: 9, ProviderID: "p"}, l)
	row := message.Row{State: message.Unknown, Code: "unknown", Detail: "x"}
	l.Rev = 3
	l.Lay(&row)
	require.Equal(t, message.Row{State: message.Delivered, ProviderID: "p", SentAt: message.At(5), FinishedAt: message.At(9), Rev: 3}, row)
	p.State = message.Undelivered
	_, what = message.LateOf(&p, 7, &rec, way, 9)
	require.Equal(t, message.HeardNothing, what, "that it was not delivered through the first hop says nothing of the second")
}
