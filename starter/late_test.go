package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
	"volley/workflows/contract"
)

// closedWithStore is a starter with a store, and a small batch that has ended.
func closedWithStore(t *testing.T, n int) (*big, message.Result) {
	t.Helper()
	b := newBig(t, quickly())
	b.fake.answer = nil
	start(t, b.Starter, request("a", n))
	res := resultOf("a", n)
	b.fake.flow(t, "batch-a").complete(t, res)
	return b, res
}

func TestLateReportsShowInASmallBatch(t *testing.T) {
	t.Parallel()
	b, before := closedWithStore(t, 5) // sent, failed, expired, unknown, canceled
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{
		tells(0, message.Delivered, "one"), tells(0, message.Undelivered, "one"), tells(3, message.Undelivered, "one"),
		tells(1, message.Delivered, "one"), tells(0, message.Delivered, "nobody"), tells(77, message.Delivered, "one"),
		{ID: "none"},
	})
	require.NoError(t, err)
	require.Equal(t, contract.ReportsResult{Kept: 2, Repeated: 3, Unknown: 2}, withoutV(got))

	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 1, st.Counts[message.Delivered])
	require.Equal(t, 1, st.Counts[message.Undelivered])
	require.Zero(t, st.Counts[message.Sent]+st.Counts[message.Unknown])
	require.Equal(t, 5, st.Counts.Total())
	require.Equal(t, before.Status.Rev+2, st.Rev)
	waited, err := b.Wait(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, st.Counts, waited.Counts)
	list, err := b.List(t.Context(), starter.ListQuery{})
	require.NoError(t, err)
	require.Equal(t, st.Counts, list.Batches[0].Counts)

	page, err := b.Messages(t.Context(), a, message.PageQuery{Since: before.Status.Rev})
	require.NoError(t, err)
	require.Len(t, page.Messages, 2)
	require.Equal(t, message.Delivered, page.Messages[0].State)
	require.Equal(t, before.Status.Rev+1, page.Messages[0].Rev)
	require.Equal(t, "gone", page.Messages[1].Code)
	row, err := b.Message(t.Context(), a, "0")
	require.NoError(t, err)
	require.Equal(t, message.EventDelivered, row.Trail[len(row.Trail)-1].Event)
	require.Len(t, row.Trail, 3)

	again, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Undelivered, "one"), tells(3, message.Undelivered, "one")})
	require.NoError(t, err)
	require.Equal(t, contract.ReportsResult{Repeated: 2}, withoutV(again))
	st, err = b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, before.Status.Rev+2, st.Rev)

	canceled, err := b.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	require.Len(t, canceled.Sent, 2)
	redriven, err := b.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"undelivered"}})
	require.NoError(t, err)
	require.Equal(t, 1, redriven.Total)
}

func withoutV(r contract.ReportsResult) contract.ReportsResult {
	r.V = 0
	return r
}

func TestLateReportsOfATerminatedBatch(t *testing.T) {
	t.Parallel()
	b := newBig(t, quickly())
	b.fake.answer = nil
	start(t, b.Starter, request("a", 3))
	page := contract.LedgerPage{V: 1, Ledger: message.Ledger{V: 1, Records: records(3, sentRecord)}}
	b.fake.flow(t, "batch-a").cut(t, page)
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, got.Kept)
	row, err := b.Message(t.Context(), a, "0")
	require.NoError(t, err)
	require.Equal(t, message.Delivered, row.State)
}

func TestReportsOfABatchThatRunsArePassedOn(t *testing.T) {
	t.Parallel()
	b := newBig(t, quickly())
	b.fake.answer = nil
	start(t, b.Starter, request("a", 3))
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, got.Passed)
	require.Len(t, reported(t, b.fake.flow(t, "batch-a")), 1)
	got, err = b.RouteReports(t.Context(), "batch-b", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, got.Unknown)
	got, err = b.RouteReports(t.Context(), "other", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, got.Unknown)
}

func TestReportsOfALargeBatchGoToWhoeverHasTheMessage(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	route := func() contract.ReportsResult {
		got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{
			tells(5, message.Delivered, "one"),       // its segment has ended
			tells(6, message.Undelivered, "one"),     // it too
			tells(1000, message.Delivered, "one"),    // its segment tries others again
			tells(1001, message.Delivered, "two"),    // it is tried again
			tells(2100, message.Delivered, "two"),    // a segment has it
			tells(3200, message.Delivered, "one"),    // nobody has it yet
			tells(999_999, message.Delivered, "one"), // it is not there
		})
		require.NoError(t, err)
		return withoutV(got)
	}
	require.Equal(t, contract.ReportsResult{Passed: 3, Kept: 2, Unknown: 2}, route())
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~0003"))[0], 1)
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~0002"))[0], 2)
	require.Equal(t, 2, route().Repeated, "what is kept is kept once")

	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 3500, st.Counts.Total())
	require.Equal(t, 1, st.Counts[message.Delivered])
	require.Equal(t, 1, st.Counts[message.Undelivered])
	for index, want := range map[string]message.State{"5": message.Delivered, "6": message.Undelivered} {
		row, err := b.Message(t.Context(), a, index)
		require.NoError(t, err)
		require.Equal(t, want, row.State)
		require.GreaterOrEqual(t, row.Rev, noon.UnixMilli()<<10)
		require.Equal(t, string(want.String()), string(row.Trail[len(row.Trail)-1].Event))
	}
	page, err := b.Messages(t.Context(), a, message.PageQuery{State: "delivered"})
	require.NoError(t, err)
	require.Len(t, page.Messages, 1)
	require.Equal(t, o.Large.Dir, b.dirs(t)[0].Dir)

	// One of a segment whose workflow has just ended waits until its batch says so.
	b.fake.flow(t, "batch-a~0003").complete(t, contract.SegmentResult{V: 1})
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(2100, message.Delivered, "two")})
	require.NoError(t, err)
	require.Equal(t, []int{0}, got.Later)
}

// One damaged object keeps no report of others out, nor for ever.
func TestADamagedSegmentLosesItsOwnReportsAlone(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	for number, n := range map[int]int{1: 3, 2: 1000} {
		l := message.Ledger{V: 1, Records: records(n, sentRecord)}
		require.NoError(t, b.store.KeepLedger(t.Context(), o.Large.Dir, number, &l))
	}
	o.Large.Segments = "eer-"
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{
		tells(5, message.Delivered, "one"),    // its ledger is damaged
		tells(1500, message.Delivered, "one"), // its segment is sound
		tells(2100, message.Delivered, "two"), // its segment runs
	})
	require.NoError(t, err)
	require.Equal(t, contract.ReportsResult{Dropped: 1, Kept: 1, Passed: 1}, withoutV(got))
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 1, st.Counts[message.Delivered])
	require.Len(t, reported(t, b.fake.flow(t, "batch-a~0003")), 1)
}

func (b *big) dirs(t *testing.T) []store.Folder {
	t.Helper()
	var all []store.Folder
	for f, err := range b.store.Folders(t.Context()) {
		require.NoError(t, err)
		all = append(all, f)
	}
	return all
}

func TestCallbacksTellOfLateReports(t *testing.T) {
	t.Parallel()
	b := newBig(t, quickly())
	b.fake.answer = nil
	r := request("a", 3)
	r.Batch.Callbacks = &message.Callbacks{URL: "https://example.com", Format: message.CallbackVolley}
	start(t, b.Starter, r)
	b.fake.flow(t, "batch-a").complete(t, resultOf("a", 3))
	_, err := b.RouteReports(t.Context(), "batch-a", []message.Report{{ID: "none"}})
	require.NoError(t, err)
	require.NotContains(t, b.fake.flows, contract.NotifyID("batch-a"))
	for range 2 {
		_, err = b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
		require.NoError(t, err)
	}
	in := decode[contract.NotifyInput](t, b.fake.flow(t, contract.NotifyID("batch-a")).start.GetInput().GetPayloads()[0])
	require.EqualValues(t, 3, in.Cursor.Rev, "what was known at the end is not told again, and what came later is")
}

func TestLateReportsGoWithTheirBatch(t *testing.T) {
	t.Parallel()
	b, _ := closedWithStore(t, 3)
	_, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	_, err = b.Report(t.Context(), []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 1, b.folders(t))
	require.NoError(t, b.Delete(t.Context(), a))
	require.Zero(t, b.folders(t))
	require.Contains(t, b.fake.deleted, "batch-a~reports")
}

func TestLateReportsAreNotPurgedBeforeTheirBatchIsForgotten(t *testing.T) {
	t.Parallel()
	b, _ := closedWithStore(t, 3)
	_, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	later := newOn(b, func() time.Time { return time.Now().Add(60 * 24 * time.Hour) })
	_, err = later.Purge(t.Context(), 30*24*time.Hour, true)
	require.ErrorIs(t, err, starter.ErrStoreAway, "what is not there may be somewhere else")
	_, err = later.SetupStore(t.Context(), true)
	require.NoError(t, err)
	got, err := later.Purge(t.Context(), 30*24*time.Hour, false)
	require.NoError(t, err)
	require.Zero(t, got.Folders)
	delete(b.fake.flows, "batch-a")
	got, err = newOn(b, time.Now).Purge(t.Context(), 0, false)
	require.NoError(t, err)
	require.Zero(t, got.Folders, "it is younger than a day")
	got, err = later.Purge(t.Context(), 30*24*time.Hour, false)
	require.NoError(t, err)
	require.Equal(t, 1, got.Folders)
	require.Equal(t, starter.PurgeOld, got.List[0].Reason)
}

// newOn is another starter on the same server and store, at another time.
func newOn(b *big, now func() time.Time) *starter.Starter {
	return starter.New(b.fake.client, starter.Options{Store: b.store, Now: now})
}
