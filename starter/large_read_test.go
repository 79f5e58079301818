package starter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows"
)

var key = message.KeyOf("batch-a")

// records are n records, each made by what.
func records(n int, what func(i int) message.Record) []message.Record {
	all := make([]message.Record, n)
	for i := range all {
		all[i] = what(i)
	}
	return all
}

func sentRecord(int) message.Record {
	return message.Record{
		State: message.Sent, Attempts: 1, Due: noon.UnixMilli(), Expires: noon.Add(time.Hour).UnixMilli(),
		Sent: noon.UnixMilli() + 7, Finished: noon.UnixMilli() + 7, ProviderID: "p", Rev: (noon.UnixMilli() + 7) << 10,
		Trail: []message.Entry{{At: noon.UnixMilli() + 7, Attempt: 1, Event: message.EventSent}},
	}
}

func retryingRecord(int) message.Record {
	return message.Record{
		State: message.Retrying, Hop: 1, Attempts: 2, Due: noon.UnixMilli(), Expires: noon.Add(time.Hour).UnixMilli(),
		Rev: (noon.UnixMilli() + 3) << 10, Code: "http_503",
	}
}

// halfway is a batch of 3,500 messages in four segments: one has ended, one has
// left two messages to two retries, of which one has ended, one runs, and one
// waits. The last message of all is rejected.
func halfway(t *testing.T) (*big, message.Overview) {
	t.Helper()
	b := newBig(t, starter.Options{})
	b.startBig(t, 3500)
	dir := b.input(t).Large.Dir
	keep := func(number int, l message.Ledger) {
		l.V = message.Version
		require.NoError(t, b.store.KeepLedger(t.Context(), dir, number, &l))
	}
	keep(1, message.Ledger{Records: records(1000, sentRecord)})
	keep(2, message.Ledger{Records: records(1000, func(i int) message.Record {
		if i < 3 {
			return retryingRecord(i)
		}
		return sentRecord(i)
	})})
	keep(5, message.Ledger{Spots: []message.Spot{{Segment: 2, Pos: 0}}, Records: records(1, sentRecord)})

	running := make([]message.Row, 1000)
	var counts message.Counts
	for i := range running {
		running[i] = message.Row{Index: 2000 + i, ID: key.MessageID(2000 + i), Account: "two", State: message.Accepted, Rev: noon.UnixMilli()<<10 + 1, DueAt: &noon}
		if i < 400 {
			running[i].State = message.Sent
		}
		counts[running[i].State]++
	}
	b.child(t, 3, workflows.SegmentInput{}).query = pages(t, message.Status{Counts: &counts, Rev: 1 << 60, StartedAt: &noon}, running)
	b.child(t, 6, workflows.SegmentInput{}).query = pages(t, message.Status{Counts: &message.Counts{message.Retrying: 2}, Rev: 5}, []message.Row{
		{Index: 1001, ID: key.MessageID(1001), Account: "two", State: message.Sending, Rev: noon.UnixMilli() << 10, Attempts: 3},
		{Index: 1002, ID: key.MessageID(1002), Account: "two", State: message.Retrying, Rev: noon.UnixMilli() << 10, Attempts: 2},
	})
	o := message.Overview{
		V: 1, Opened: true,
		Status: message.Status{
			ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchRunning, Total: 3500, Rev: 7, CreatedAt: noon,
			Counts:    &message.Counts{message.Sent: 1998, message.Retrying: 2, message.Accepted: 1000 + 499, message.Rejected: 1},
			StartedAt: &noon, Metadata: []byte("{}"),
		},
		Large: message.Large{Dir: dir, Segments: "elr-", Retries: []message.Retry{
			{Number: 5, Segments: []int{2}, Ended: true}, {Number: 6, Segments: []int{2}},
		}},
		Counts: map[int]message.Counts{3: {message.Accepted: 1000}, 6: {message.Retrying: 2}},
	}
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	return b, o
}

func all(t *testing.T, b *big, q starter.ResultQuery) []message.Row {
	t.Helper()
	var rows []message.Row
	for row, err := range b.Results(t.Context(), a, q) {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	return rows
}

func TestTheCountsOfRunningSegmentsAreTheirOwn(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, message.Counts{
		message.Sent: 1998 + 400, message.Retrying: 2, message.Accepted: 600 + 499, message.Rejected: 1,
	}, *st.Counts)
	require.Equal(t, 3500, st.Counts.Total())
	require.EqualValues(t, 1<<60, st.Rev)
	require.Equal(t, noon, st.AsOf)

	t.Run("one that does not answer counts as it last did", func(t *testing.T) {
		b.fake.flow(t, "batch-a~0003").query = nil
		st, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, 1998+400, st.Counts[message.Sent])
		require.Equal(t, 3500, st.Counts.Total())
		other := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return noon.Add(time.Hour) }})
		st, err = other.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, 1998, st.Counts[message.Sent], "who never heard of it counts as the batch does")
		require.True(t, st.AsOf.Before(noon), "and says since when")
	})
	t.Run("one that did not answer since it told the batch counts as it told that", func(t *testing.T) {
		b, o := halfway(t)
		_, err := b.Status(t.Context(), a) // hears of segment 3
		require.NoError(t, err)
		b.fake.flow(t, "batch-a~0003").query = nil
		moved := message.Counts{message.Sent: 1998 + 400, message.Retrying: 2, message.Scheduled: 600, message.Accepted: 499, message.Rejected: 1}
		o.Status.Counts, o.Status.Rev = &moved, 1<<60+9
		o.Counts[3], o.Revs = message.Counts{message.Sent: 400, message.Scheduled: 600}, map[int]int64{3: 1<<60 + 8}
		b.fake.onStart(o)
		b.fake.flow(t, "batch-a").query = b.fake.answer
		st, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, moved, *st.Counts)
	})
	t.Run("one that has ended meanwhile counts as it ended", func(t *testing.T) {
		b.fake.flow(t, "batch-a~0003").complete(t, workflows.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 990, message.Retrying: 10}, Rev: 1<<60 + 1, Left: 10})
		st, err := starter.New(b.fake.client, starter.Options{Store: b.store}).Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, 1998+990, st.Counts[message.Sent])
		require.Equal(t, 3500, st.Counts.Total())
	})
	t.Run("nobody is asked when the batch itself does not answer", func(t *testing.T) {
		b, _ := halfway(t)
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Wait: short})
		b.fake.flow(t, "batch-a").query = nil
		_, err := s.Status(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrNoWorker)
	})
}

func TestRowsOfALargeBatchComeFromWhereTheyAreKnown(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	rows := all(t, b, starter.ResultQuery{})
	require.Len(t, rows, 3500)
	var counts message.Counts
	for i, row := range rows {
		require.Equal(t, i, row.Index)
		require.Equal(t, key.MessageID(i), row.ID)
		require.Equal(t, fmt.Sprintf("+1555000%04d", i), row.To)
		require.Positive(t, row.Rev)
		counts[row.State]++
	}
	require.Equal(t, message.Counts{
		message.Sent: 1998 + 400, message.Sending: 1, message.Retrying: 1, message.Accepted: 600 + 499, message.Rejected: 1,
	}, counts)
	require.Equal(t, message.Sent, rows[1000].State, "a retry sent it")
	require.Equal(t, message.Sending, rows[1001].State, "a retry has it under way")
	require.Equal(t, "two", rows[2000].Account)
	require.Equal(t, "format", rows[3499].Code)

	for state, n := range map[string]int{"sent": 2398, "sending": 1, "retrying": 1, "accepted": 1099, "rejected": 1, "expired": 0, "scheduled": 0} {
		require.Len(t, all(t, b, starter.ResultQuery{State: state}), n, state)
	}
}

func TestPagesOfALargeBatchFollowEachOther(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	seen, cursor := 0, ""
	for {
		page, err := b.Messages(t.Context(), a, message.PageQuery{Limit: 333, Cursor: cursor})
		require.NoError(t, err)
		for _, row := range page.Messages {
			require.Equal(t, seen, row.Index)
			seen++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
		require.Len(t, page.Messages, 333)
	}
	require.Equal(t, 3500, seen)

	page, err := b.Messages(t.Context(), a, message.PageQuery{})
	require.NoError(t, err)
	require.Len(t, page.Messages, message.DefaultPage)
	page, err = b.Messages(t.Context(), a, message.PageQuery{Limit: 9999})
	require.NoError(t, err)
	require.Len(t, page.Messages, message.MaxPage)

	page, err = b.Messages(t.Context(), a, message.PageQuery{Since: (noon.UnixMilli() + 6) << 10, Limit: 500, Cursor: "2:0"})
	require.NoError(t, err)
	require.Equal(t, 1000, page.Messages[0].Index)
	require.Equal(t, 1003, page.Messages[1].Index)

	for _, q := range []message.PageQuery{{Cursor: "17"}, {Cursor: "0:1"}, {Cursor: "x"}, {State: "lost"}, {Limit: -1}} {
		_, err = b.Messages(t.Context(), a, q)
		require.ErrorIs(t, err, starter.ErrInvalid, "%v", q)
	}
}

func TestOneMessageOfALargeBatchHasItsTrail(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	for index, c := range map[int]struct {
		state message.State
		event message.Event
	}{
		5: {message.Sent, message.EventSent}, 1000: {message.Sent, message.EventSent},
		1001: {message.Sending, message.EventThrottled}, 2500: {message.Accepted, message.EventThrottled}, 3200: {message.Accepted, ""},
	} {
		for _, ask := range []string{fmt.Sprint(index), key.MessageID(index)} {
			row, err := b.Message(t.Context(), a, ask)
			require.NoError(t, err)
			require.Equal(t, index, row.Index)
			require.Equal(t, c.state, row.State)
			require.Equal(t, fmt.Sprintf("+1555000%04d", index), row.To)
			if c.event == "" {
				require.Empty(t, row.Trail)
				continue
			}
			require.Equal(t, c.event, row.Trail[0].Event)
			require.Equal(t, "one", row.Trail[0].Account)
		}
	}
	for _, ask := range []string{"3500", "x", message.KeyOf("batch-b").MessageID(1)} {
		_, err := b.Message(t.Context(), a, ask)
		require.ErrorIs(t, err, starter.ErrNotFound)
	}
}

func TestControlsOfSegmentsThatHaveNotBegunShow(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	later := noon.Add(time.Hour)
	o.Large.Due, o.Large.Canceled, o.Large.Reasons = later.UnixMilli(), []int{3001, 1002}, []string{"too late"}
	o.Large.Retries = o.Large.Retries[:1]
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	rows := all(t, b, starter.ResultQuery{})
	require.Equal(t, message.Scheduled, rows[3000].State)
	require.Equal(t, later, *rows[3000].DueAt)
	require.Equal(t, message.Canceled, rows[3001].State)
	require.Equal(t, "too late", rows[3001].Detail)
	require.Equal(t, message.Retrying, rows[1001].State)
	require.Equal(t, message.Canceled, rows[1002].State, "it was canceled while it waited for a retry")
	require.Len(t, all(t, b, starter.ResultQuery{State: "canceled"}), 2)
	require.Len(t, all(t, b, starter.ResultQuery{State: "scheduled"}), 498)
}

func TestWhatChangedInSegmentsThatHaveNotBegunComesAfterItsRev(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	rev := func(minutes int) int64 { return noon.Add(time.Duration(minutes)*time.Minute).UnixMilli()<<10 | 3 }
	since := func(q int64) []message.Row {
		page, err := b.Messages(t.Context(), a, message.PageQuery{Since: q, Limit: message.MaxPage, Cursor: "4:0"})
		require.NoError(t, err)
		return page.Messages
	}
	tell := func() {
		b.fake.onStart(o)
		b.fake.flow(t, "batch-a").query = b.fake.answer
	}
	require.Empty(t, since(rev(0)))
	o.Large.Canceled, o.Large.Reasons, o.Large.Revs = []int{3001, 3002, 1002}, []string{"", "", ""}, message.Revs{rev(1), rev(2), rev(2)}
	tell()
	changed := since(rev(0))
	require.Len(t, changed, 2)
	require.Equal(t, rev(1), changed[0].Rev)
	require.Equal(t, noon.Add(time.Minute), changed[0].FinishedAt.UTC())
	changed = since(rev(1))
	require.Len(t, changed, 1)
	require.Equal(t, 3002, changed[0].Index)
	require.Empty(t, since(rev(2)))

	o.Large.Due, o.Large.DueRev = noon.Add(time.Hour).UnixMilli(), rev(3)
	tell()
	changed = since(rev(2))
	require.Len(t, changed, 497, "of 500 one is rejected and two were canceled before")
	require.Empty(t, since(rev(3)))
}

// ended is a batch that was canceled when two of its four segments had ended.
func ended(t *testing.T) (*big, message.Result) {
	t.Helper()
	b, o := halfway(t)
	finished := noon.Add(time.Minute)
	o.Status.State, o.Status.FinishedAt = message.BatchCanceled, &finished
	o.Status.Counts = &message.Counts{message.Sent: 1998, message.Failed: 1000, message.Canceled: 501, message.Rejected: 1}
	res := message.Result{V: 1, Status: o.Status, Large: &message.Large{
		Dir: o.Large.Dir, Segments: "elxx", Retries: []message.Retry{{Number: 5, Segments: []int{2}, Ended: true}},
		Rest: &message.Rest{State: message.Canceled, Code: "canceled", Detail: "enough", Finished: finished.UnixMilli()},
		RestOf: map[int]message.Rest{
			2: {State: message.Canceled, Code: "canceled", Detail: "left", Finished: finished.UnixMilli()},
			3: {State: message.Failed, Code: message.CodeStore, Finished: finished.UnixMilli()},
		},
	}}
	require.NoError(t, b.store.KeepResult(t.Context(), o.Large.Dir, &res))
	b.fake.flow(t, "batch-a").query = nil
	b.fake.flow(t, "batch-a").complete(t, res)
	return b, res
}

func TestAClosedLargeBatchIsReadWithoutAWorker(t *testing.T) {
	t.Parallel()
	b, res := ended(t)
	check := func(t *testing.T) {
		t.Helper()
		st, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, res.Status, st)
		st, err = b.Wait(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, res.Status, st)
		var counts message.Counts
		rows := all(t, b, starter.ResultQuery{})
		for _, row := range rows {
			counts[row.State]++
		}
		require.Equal(t, *res.Status.Counts, counts)
		require.Equal(t, "left", rows[1001].Detail)
		require.Equal(t, "enough", rows[3000].Detail)
		row, err := b.Message(t.Context(), a, "2000")
		require.NoError(t, err)
		require.Equal(t, message.CodeStore, row.Code)
		require.Len(t, all(t, b, starter.ResultQuery{State: "failed"}), 1000)
		page, err := b.Messages(t.Context(), a, message.PageQuery{State: "rejected"})
		require.NoError(t, err)
		require.Len(t, page.Messages, 1)
	}
	check(t)
	delete(b.fake.flows, "batch-a")
	t.Run("also when Temporal no longer has it", check)

	res2, err := b.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, message.CancelResult{Batch: "a", Confirmed: true, Counts: message.CancelCounts{Sent: 1998, Ended: 1502}}, res2)
	res2, err = b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"5", "3000"}})
	require.NoError(t, err)
	require.Equal(t, []string{key.MessageID(5)}, res2.Sent)
	require.Equal(t, []string{key.MessageID(3000)}, res2.Ended)
	_, err = b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"3500"}})
	require.ErrorIs(t, err, starter.ErrNotFound)
}
