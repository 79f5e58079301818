package store_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

const lateDir = "default/2026-11-20/b~00000000"

// lateOf is a late report of the message at index, in segments of ten.
func lateOf(index int, s message.State) message.LateReport {
	return message.LateReport{
		Index: index, Segment: index/10 + 1, From: message.Sent, State: s, Hop: 1, Attempt: 2, At: int64(1000 + index), Kept: int64(2000 + index),
		ProviderID: fmt.Sprintf("p-%d", index), Code: "c", Detail: "d",
	}
}

// keep keeps late reports, all of which have to be taken.
func keep(t *testing.T, s *store.Store, dir string, rev int64, late ...message.LateReport) store.Reported {
	t.Helper()
	r, failed, err := s.KeepLate(t.Context(), dir, late, store.KeepOptions{Rev: rev})
	require.NoError(t, err)
	require.Empty(t, failed)
	return r
}

func TestABatchWithoutLateReportsHasNone(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	r, err := s.Reported(t.Context(), lateDir)
	require.NoError(t, err)
	require.Zero(t, r)
	found, err := s.LateOf(t.Context(), lateDir, r, 1)
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = s.Reported(t.Context(), "../x")
	require.Error(t, err)
}

func TestLateReportsAreReadAsTheyWereKept(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	r := keep(t, s, lateDir, 100, lateOf(3, message.Delivered), lateOf(14, message.Undelivered))
	require.Equal(t, 2, r.Count)
	require.EqualValues(t, 101, r.Rev)
	require.Equal(t, message.CountDeltas{message.Sent: {message.Delivered: 1, message.Undelivered: 1}}, r.Moved)
	r = keep(t, s, lateDir, 50, lateOf(4, message.Delivered))
	require.EqualValues(t, 102, r.Rev)
	again, err := s.Reported(t.Context(), lateDir)
	require.NoError(t, err)
	require.Equal(t, r, again)

	found, err := s.LateOf(t.Context(), lateDir, r, 1)
	require.NoError(t, err)
	want3, want4 := lateOf(3, message.Delivered), lateOf(4, message.Delivered)
	want3.Rev, want4.Rev = 100, 102
	require.Equal(t, map[int]message.LateReport{3: want3, 4: want4}, found)
	var counts message.Counts
	counts[message.Sent] = 5
	counts = r.Moved.Of(counts)
	require.Equal(t, 2, counts[message.Sent])
	require.Equal(t, 2, counts[message.Delivered])
	require.Equal(t, 5, counts.Total())
}

func TestASegmentWithLateReportsHasTwoObjects(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	const n = 300 // one at a time
	var r store.Reported
	for i := range n {
		r = keep(t, s, lateDir, 1, lateOf((i*7)%n, message.Delivered))
	}
	require.Equal(t, n, r.Count)
	require.EqualValues(t, n, r.Rev)
	require.Len(t, r.Segments, n/10)
	objects := 0
	for f, err := range s.Folders(t.Context()) {
		require.NoError(t, err)
		require.True(t, f.Reports)
		objects += f.Objects
	}
	require.Equal(t, 1+2*n/10, objects)
	revs := map[int64]bool{}
	for segment := 1; segment <= n/10; segment++ {
		found, err := s.LateOf(t.Context(), lateDir, r, segment)
		require.NoError(t, err)
		require.Len(t, found, 10)
		last := int64(0)
		for i, l := range found {
			require.Equal(t, i, l.Index)
			require.False(t, revs[l.Rev])
			revs[l.Rev] = true
			last = max(last, l.Rev)
		}
		g := r.Segments[segment]
		require.Equal(t, 10, g.Count)
		require.Equal(t, last, g.Rev)
		require.Equal(t, message.CountDeltas{message.Sent: {message.Delivered: 10}}, g.Moved)
	}
}

func TestAFolderOfReportsIsToldFromOthers(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	dir := store.ReportsDir("", "small", "batch-small", time.Date(2026, 11, 20, 23, 59, 0, 0, time.UTC))
	require.Equal(t, dir, store.ReportsDir("default", "small", "batch-small", time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)))
	require.Regexp(t, `^default/2026-11-20/small~[0-9a-f]{8}$`, dir)
	_ = keep(t, s, dir, 1, lateOf(0, message.Delivered))
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
	l, what := message.LateReportOf(&p, 7, &rec, way, 9)
	require.Equal(t, message.EffectEnd, what)
	require.Equal(t, message.LateReport{Index: 7, From: message.Unknown, State: message.Delivered, Attempt: 2, At: 5, Kept: 9, ProviderID: "p"}, l)
	row := message.Row{State: message.Unknown, Code: "unknown", Detail: "x"}
	l.Rev = 3
	l.ApplyTo(&row)
	require.Equal(t, message.Row{State: message.Delivered, ProviderID: "p", SentAt: message.At(5), FinishedAt: message.At(9), Rev: 3}, row)
	p.State = message.Undelivered
	_, what = message.LateReportOf(&p, 7, &rec, way, 9)
	require.Equal(t, message.EffectNone, what, "that it was not delivered through the first hop says nothing of the second")
}

// kept says what a reader sees of all late reports: the summary, and reports by index.
func keptLate(t *testing.T, s *store.Store) (store.Reported, map[int]message.LateReport) {
	t.Helper()
	r, err := s.Reported(t.Context(), lateDir)
	require.NoError(t, err)
	segments := slices.Sorted(maps.Keys(r.Segments))
	found, err := s.LateOf(t.Context(), lateDir, r, segments...)
	require.NoError(t, err)
	return r, found
}

// A writer that ends at any of its requests leaves the reports as they were before or
// as they are afterwards, and the next one goes on from there.
func TestLateReportsAreKeptAllOrNoneWhereTheWriterEnds(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{errFault, errLate} {
		for n := 1; ; n++ {
			inner := inMemory(t)
			var before, late message.LateReports
			for i := range 50 {
				before = append(before, lateOf(2*i, message.Delivered))
				late = append(late, lateOf(2*i+1, message.Undelivered)) // and some of other segments
				late[i].Segment += 3
			}
			old := keep(t, inner, lateDir, 5, before...)
			s, f := onFaulty(t, inner)
			f.reset(func(k int, _, _ string) error {
				switch {
				case k == n:
					return fault
				case k > n: // the process has ended
					return errFault
				}
				return nil
			})
			_, failed, err := s.KeepLate(t.Context(), lateDir, late, store.KeepOptions{})
			last := f.count() < n
			fresh, _ := onFaulty(t, inner)
			r, found := keptLate(t, fresh)
			require.Len(t, found, r.Count)
			require.Equal(t, r.Count, r.Moved[message.Sent][message.Delivered]+r.Moved[message.Sent][message.Undelivered])
			switch {
			case err == nil && len(failed) == 0, r.Rev != old.Rev:
				require.Equal(t, 100, r.Count, "at %d", n)
				require.Equal(t, old.Rev+50, r.Rev)
			default:
				require.Equal(t, old, r, "at %d", n)
			}
			r = keep(t, fresh, lateDir, 0, late...) // which kept them already, or not
			require.Equal(t, 100, r.Count)
			if last {
				require.NoError(t, err)
				require.Empty(t, failed)
				require.Greater(t, n, 15)
				break
			}
		}
	}
}

func TestASegmentWhoseReportsAreDamagedFailsAlone(t *testing.T) {
	t.Parallel()
	s, root := open(t)
	r := keep(t, s, lateDir, 1, lateOf(0, message.Delivered), lateOf(10, message.Delivered), lateOf(20, message.Delivered))
	file := func(number int) string {
		return filepath.Join(root, filepath.FromSlash(lateDir), "late", fmt.Sprintf("%04d.%d", number, r.Segments[number].Place))
	}
	require.NoError(t, os.WriteFile(file(1), []byte("{"), 0o600))
	require.NoError(t, os.Remove(file(2)))
	s, err := store.Open(t.Context(), "file://"+root, store.Options{})
	require.NoError(t, err)
	found, err := s.LateReports(t.Context(), lateDir, r, 1, 2, 3, 4)
	require.NoError(t, err)
	require.ErrorIs(t, found[1].Err, store.ErrDamaged)
	require.ErrorIs(t, found[2].Err, store.ErrNotFound)
	require.NoError(t, found[3].Err)
	require.Contains(t, found[3].ByIndex, 20)
	require.NotContains(t, found, 4)
	_, err = s.LateOf(t.Context(), lateDir, r, 3, 1)
	require.ErrorIs(t, err, store.ErrDamaged)

	now, failed, err := s.KeepLate(t.Context(), lateDir, message.LateReports{lateOf(1, message.Delivered), lateOf(11, message.Delivered), lateOf(21, message.Delivered)}, store.KeepOptions{})
	require.NoError(t, err)
	require.Len(t, failed, 2)
	require.True(t, store.Lost(failed[1]) && store.Lost(failed[2]))
	require.Equal(t, 4, now.Count)
	all, err := s.LateOf(t.Context(), lateDir, now, 3)
	require.NoError(t, err)
	require.Len(t, all, 2)
}

// A segment whose object cannot be written is kept out of a commit, and only that one.
func TestASegmentThatCannotBeWrittenFailsAlone(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	s, f := onFaulty(t, inner)
	f.reset(func(_ int, what, key string) error {
		if what == "put" && strings.Contains(key, "/late/0002.") {
			return errFault
		}
		return nil
	})
	r, failed, err := s.KeepLate(t.Context(), lateDir, message.LateReports{lateOf(1, message.Delivered), lateOf(11, message.Delivered)}, store.KeepOptions{Namespace: "n", Cluster: "c"})
	require.NoError(t, err)
	require.Len(t, failed, 1)
	require.ErrorIs(t, failed[2], errFault)
	require.False(t, store.Lost(failed[2]))
	again, found := keptLate(t, inner)
	require.Equal(t, r, again)
	require.Equal(t, []string{"n", "c"}, []string{r.Namespace, r.Cluster})
	require.Len(t, found, 1)
	require.Contains(t, found, 1)
}

// A reader with an old summary reads what that means, whatever was kept since, and
// whatever a writer left that ended.
func TestAnOldSummaryStaysGood(t *testing.T) {
	t.Parallel()
	inner := inMemory(t)
	old := keep(t, inner, lateDir, 1, lateOf(0, message.Delivered), lateOf(10, message.Delivered))
	want, err := inner.LateOf(t.Context(), lateDir, old, 1, 2)
	require.NoError(t, err)
	for i := 1; i < 9; i++ {
		now := keep(t, inner, lateDir, 1, lateOf(10+i, message.Delivered))
		got, err := store.On(store.Bucket(inner)).LateOf(t.Context(), lateDir, old, 1, 2)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = store.On(store.Bucket(inner)).LateOf(t.Context(), lateDir, now, 1, 2)
		require.NoError(t, err)
		require.Len(t, got, 2+i)

		s, f := onFaulty(t, inner)
		f.reset(func(_ int, what, key string) error {
			if what == "put" && strings.HasSuffix(key, "/summary") {
				return errFault
			}
			return nil
		})
		_, _, err = s.KeepLate(t.Context(), lateDir, message.LateReports{lateOf(19, message.Undelivered)}, store.KeepOptions{})
		require.ErrorIs(t, err, errFault)
		got, err = store.On(store.Bucket(inner)).LateOf(t.Context(), lateDir, old, 1, 2)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
