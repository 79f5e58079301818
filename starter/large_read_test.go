package starter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
	"volley/workflows/contract"
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

// halfway is a batch of 3,500 messages in four segments: one has ended, one has made its
// first attempts and still tries two messages, one runs, and one waits. The last message of
// all is rejected.
func halfway(t *testing.T) (*big, message.Overview) {
	t.Helper()
	return halfwayOn(t, "mem://")
}

func halfwayOn(t *testing.T, url string) (*big, message.Overview) {
	t.Helper()
	b := newBigOn(t, starter.Options{}, url)
	b.startBig(t, 3500)
	dir := b.input(t).Large.Dir
	require.NoError(t, b.store.KeepLedger(t.Context(), dir, 1, &message.Ledger{V: message.Version, Records: records(1000, sentRecord)}))

	retrying := make([]message.Row, 1000)
	for i := range retrying {
		retrying[i] = message.Row{Index: 1000 + i, ID: key.MessageID(1000 + i), Account: "one", State: message.Sent, Rev: (noon.UnixMilli() + 7) << 10, Attempts: 1, DueAt: &noon}
	}
	for i, state := range map[int]message.State{1: message.Sending, 2: message.Retrying} {
		retrying[i].Account, retrying[i].State, retrying[i].Rev, retrying[i].Attempts = "two", state, noon.UnixMilli()<<10, 4-i
	}
	b.child(t, 2, contract.SegmentInput{}).query = pages(t, message.Status{Counts: &message.Counts{message.Sent: 998, message.Sending: 1, message.Retrying: 1}, Rev: 5}, retrying)
	running := make([]message.Row, 1000)
	var counts message.Counts
	for i := range running {
		running[i] = message.Row{Index: 2000 + i, ID: key.MessageID(2000 + i), Account: "two", State: message.Accepted, Rev: noon.UnixMilli()<<10 + 1, DueAt: &noon}
		if i < 400 {
			running[i].State = message.Sent
		}
		counts[running[i].State]++
	}
	b.child(t, 3, contract.SegmentInput{}).query = pages(t, message.Status{Counts: &counts, Rev: 1 << 60, StartedAt: &noon}, running)
	o := message.Overview{
		V: 1, Opened: true,
		Status: message.Status{
			ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchRunning, Total: 3500, Rev: 7, CreatedAt: noon,
			Counts:    &message.Counts{message.Sent: 1998, message.Retrying: 2, message.Accepted: 1000 + 499, message.Rejected: 1},
			StartedAt: &noon, Metadata: []byte("{}"), AsOf: noon,
		},
		Large:  message.Large{Dir: dir, Segments: "ewr-", Ended: message.Counts{message.Sent: 1000}},
		Counts: map[int]message.Counts{2: {message.Sent: 998, message.Retrying: 2}, 3: {message.Accepted: 1000}}, Waiting: message.Counts{message.Accepted: 499, message.Rejected: 1},
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
	synctest.Test(t, func(t *testing.T) {
		b, _ := halfway(t)
		st, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, message.Counts{
			message.Sent: 1998 + 400, message.Sending: 1, message.Retrying: 1, message.Accepted: 600 + 499, message.Rejected: 1,
		}, *st.Counts)
		require.Equal(t, 3500, st.Counts.Total())
		require.EqualValues(t, 1<<60, st.Rev)
		require.Equal(t, noon, st.AsOf)

		section(t, "one that does not answer counts as it last did", func(t *testing.T) {
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
		section(t, "one that did not answer since it told the batch counts as it told that", func(t *testing.T) {
			b, o := halfway(t)
			_, err := b.Status(t.Context(), a) // hears of segment 3
			require.NoError(t, err)
			b.fake.flow(t, "batch-a~0003").query = nil
			moved := message.Counts{message.Sent: 1998 + 400, message.Sending: 1, message.Retrying: 1, message.Scheduled: 600, message.Accepted: 499, message.Rejected: 1}
			o.Status.Counts, o.Status.Rev = &moved, 1<<60+9
			o.Counts[2] = message.Counts{message.Sent: 998, message.Sending: 1, message.Retrying: 1}
			o.Counts[3], o.Revs = message.Counts{message.Sent: 400, message.Scheduled: 600}, map[int]int64{3: 1<<60 + 8}
			b.fake.onStart(o)
			b.fake.flow(t, "batch-a").query = b.fake.answer
			st, err := b.Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, moved, *st.Counts)
		})
		section(t, "one that has ended meanwhile counts as it ended", func(t *testing.T) {
			b.fake.flow(t, "batch-a~0003").complete(t, contract.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 990, message.Expired: 10}, Rev: 1<<60 + 1})
			st, err := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return noon }}).Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, 1998+990, st.Counts[message.Sent])
			require.Equal(t, 10, st.Counts[message.Expired])
			require.Equal(t, 3500, st.Counts.Total())
		})
		section(t, "without a store the others count as the batch has them", func(t *testing.T) {
			b, _ := halfway(t)
			want, err := b.Status(t.Context(), a)
			require.NoError(t, err)
			st, err := starter.New(b.fake.client, starter.Options{Now: func() time.Time { return noon }}).Status(t.Context(), a)
			require.NoError(t, err)
			require.Contains(t, want.Reasons, message.Reason{State: message.Rejected, Code: "format", Count: 1})
			require.Contains(t, st.Reasons, message.Reason{State: message.Rejected, Code: message.CodeOther, Count: 1}, "only the store knows why")
			want.Reasons, want.ExpireBy = st.Reasons, st.ExpireBy
			require.Equal(t, want, st)
		})
		section(t, "a store that is away takes nothing back", func(t *testing.T) {
			url := "file://" + t.TempDir()
			b, _ := halfwayOn(t, url)
			away, err := store.Open(t.Context(), url, store.Options{})
			require.NoError(t, err)
			s := starter.New(b.fake.client, starter.Options{Store: away, Now: func() time.Time { return noon }})
			want, err := s.Status(t.Context(), a)
			require.NoError(t, err)
			require.NoError(t, away.Close())
			st, err := s.Status(t.Context(), a)
			require.NoError(t, err)
			require.Equal(t, want.Counts, st.Counts)
			require.Equal(t, 1998+400, st.Counts[message.Sent])
		})
		section(t, "a store that is not mounted is the fault", func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "store")
			b, _ := halfwayOn(t, "file://"+root+"?create_dir=true")
			require.NoError(t, os.Rename(root, root+"-gone"))
			away, err := store.Open(t.Context(), "file://"+root, store.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { _ = away.Close() })
			st, err := starter.New(b.fake.client, starter.Options{Store: away, Now: func() time.Time { return noon }}).Status(t.Context(), a)
			require.NoError(t, err)
			require.Contains(t, st.Fault, "the store has no marker")
			require.Nil(t, st.EstimatedEnd)
			require.Equal(t, 3500, st.Counts.Total())
		})
		section(t, "nobody is asked when the batch itself does not answer", func(t *testing.T) {
			b, _ := halfway(t)
			s := starter.New(b.fake.client, starter.Options{Store: b.store, Wait: short})
			b.fake.flow(t, "batch-a").query = nil
			_, err := s.Status(t.Context(), a)
			require.ErrorIs(t, err, starter.ErrNoWorker)
		})
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
	require.Equal(t, message.Sent, rows[1000].State, "it was tried again")
	require.Equal(t, message.Sending, rows[1001].State, "its next attempt is under way")
	require.Equal(t, "two", rows[2000].Account)
	require.Equal(t, "format", rows[3499].Code)

	for state, n := range map[string]int{"sent": 2398, "sending": 1, "retrying": 1, "accepted": 1099, "rejected": 1, "expired": 0, "scheduled": 0, "sent,rejected": 2399, "not-sent": 1, "waiting,sending": 1100} {
		require.Len(t, all(t, b, starter.ResultQuery{State: state}), n, state)
	}
	require.Len(t, all(t, b, starter.ResultQuery{Code: "format"}), 1)
	require.Empty(t, all(t, b, starter.ResultQuery{State: "sent", Code: "format"}))
}

func TestRowsOfALargeBatchShowNumbersInTheirNormalForm(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	s := streamOf(1500)
	s.all[1200].To, s.all[1200].Phone = "(555) 000-1200", "+15550001200"
	_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, s)
	require.NoError(t, err)
	b.fake.onStart(message.Overview{
		V: 1, Opened: true, Large: message.Large{Dir: b.input(t).Large.Dir, Segments: "--"},
		Status: message.Status{ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchRunning, Total: 1500, CreatedAt: noon, Counts: &message.Counts{message.Accepted: 1500}},
	})
	b.fake.flow(t, "batch-a").query = b.fake.answer
	row := all(t, b, starter.ResultQuery{})[1200]
	require.Equal(t, "+15550001200", row.To)
	require.Equal(t, "(555) 000-1200", row.Given)
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

	for _, q := range []message.PageQuery{{Cursor: "17"}, {Cursor: "0:1"}, {Cursor: "x"}, {State: "lost"}, {State: "sent,"}, {Limit: -1}} {
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
		5: {message.Sent, message.EventSent}, 1000: {message.Sent, message.EventThrottled},
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
	o.Large.Due = later.UnixMilli()
	at := noon.Add(time.Minute)
	b.names(t, message.Cancellation{Index: 3001, At: at.UnixMilli(), Reason: "too late"}, message.Cancellation{Index: 1002, At: at.UnixMilli()},
		message.Cancellation{Index: 5, At: at.UnixMilli()}, message.Cancellation{Index: 3499, At: at.UnixMilli()})
	o.Status.Counts = &message.Counts{message.Sent: 1998, message.Retrying: 2, message.Accepted: 1000, message.Scheduled: 499, message.Rejected: 1}
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	rows := all(t, b, starter.ResultQuery{})
	require.Equal(t, message.Scheduled, rows[3000].State)
	require.Equal(t, later, *rows[3000].DueAt)
	require.Equal(t, message.Canceled, rows[3001].State)
	require.Equal(t, "too late", rows[3001].Detail)
	require.Equal(t, at, rows[3001].FinishedAt.UTC())
	require.Equal(t, message.Sent, rows[5].State, "it had ended")
	require.Equal(t, message.Rejected, rows[3499].State)
	require.Equal(t, message.Retrying, rows[1002].State, "its workflow has yet to say so")
	require.Len(t, all(t, b, starter.ResultQuery{State: "canceled"}), 1)
	require.Len(t, all(t, b, starter.ResultQuery{State: "scheduled,not-sent"}), 500)
	require.Len(t, all(t, b, starter.ResultQuery{State: "scheduled"}), 498)
	agrees(t, b)
}

// names writes names of canceled messages into the store.
func (b *big) names(t *testing.T, some ...message.Cancellation) {
	t.Helper()
	require.NoError(t, b.store.AddCanceled(t.Context(), b.input(t).Large.Dir, some))
}

// agrees holds the status to the rows.
func agrees(t *testing.T, b *big) {
	t.Helper()
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	var counts message.Counts
	for _, row := range all(t, b, starter.ResultQuery{}) {
		counts[row.State]++
	}
	require.Equal(t, counts, *st.Counts)
}

func TestCountsAreThoseOfTheRowsWhereOnlyTheseTell(t *testing.T) {
	t.Parallel()
	now := noon
	b := newBig(t, starter.Options{Now: func() time.Time { return now }})
	s := streamOf(3000)
	for i := range s.all[:2999] {
		s.all[i].Due = noon.Add(time.Duration(i) * time.Second).UnixMilli()
	}
	_, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, s)
	require.NoError(t, err)
	o := message.Overview{V: 1, Opened: true, Large: message.Large{Dir: b.input(t).Large.Dir, Segments: "r--"}, Status: message.Status{
		ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchRunning, Total: 3000, CreatedAt: noon, AsOf: noon,
		Counts: &message.Counts{message.Accepted: 1000, message.Scheduled: 1999, message.Rejected: 1},
	}, Counts: map[int]message.Counts{1: {message.Accepted: 1000}}}
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	b.child(t, 1, contract.SegmentInput{}).query = func(string, *commonpb.Payloads) (any, error) {
		return nil, temporal.NewApplicationError("it is being read", contract.ErrLoadingType)
	}
	b.names(t, message.Cancellation{Index: 7, At: noon.UnixMilli()}, message.Cancellation{Index: 2500, At: noon.UnixMilli()})
	for _, passed := range []time.Duration{0, 1500 * time.Second, 5000 * time.Second} {
		now = noon.Add(passed)
		agrees(t, b)
	}
}

// A segment begins, and nobody has heard of it: what was canceled by name in it stays so.
func TestWhatWasCanceledByNameStaysSoWhileItsSegmentBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBig(t, starter.Options{})
		b.startBig(t, 3000)
		o := message.Overview{V: 1, Opened: true, Large: message.Large{Dir: b.input(t).Large.Dir, Segments: "r--"}, Status: message.Status{
			ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchRunning, Total: 3000, CreatedAt: noon, AsOf: noon,
			Counts: &message.Counts{message.Accepted: 2999, message.Rejected: 1},
		}, Counts: map[int]message.Counts{1: {message.Accepted: 1000}}}
		b.fake.onStart(o)
		b.fake.flow(t, "batch-a").query = b.fake.answer
		b.child(t, 1, contract.SegmentInput{})
		b.names(t, message.Cancellation{Index: 7, At: noon.UnixMilli()}, message.Cancellation{Index: 2500, At: noon.UnixMilli()})
		st, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, message.Counts{message.Accepted: 2997, message.Canceled: 2, message.Rejected: 1}, *st.Counts)
	})
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
	b.names(t, message.Cancellation{Index: 3001, At: rev(1) >> 10}, message.Cancellation{Index: 3002, At: rev(2) >> 10}, message.Cancellation{Index: 1002, At: rev(2) >> 10})
	tell()
	changed := since(rev(0))
	require.Len(t, changed, 2)
	require.Equal(t, rev(1)-3, changed[0].Rev)
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

func TestABatchThatWasGivenUpBeforeItWasReadHasNoMessagesThatWait(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	b.startBig(t, 1500)
	rest := message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: "enough", Finished: noon.UnixMilli()}
	counts := message.Counts{message.Canceled: 1499, message.Rejected: 1}
	b.fake.onStart(message.Overview{
		V: 1, Large: message.Large{Dir: b.input(t).Large.Dir, Rest: &rest}, Waiting: counts,
		Status: message.Status{ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchCanceling, Total: 1500, CreatedAt: noon, Counts: &counts, Rev: noon.UnixMilli() << 10},
	})
	b.fake.flow(t, "batch-a").query = b.fake.answer
	st, rows := b.agree(t)
	require.Equal(t, counts, *st.Counts)
	require.Equal(t, "enough", rows[7].Detail)
}

// ended is a batch that was canceled when two of its four segments had ended.
func ended(t *testing.T) (*big, message.Result) {
	t.Helper()
	b, o := halfway(t)
	finished := noon.Add(time.Minute)
	o.Status.State, o.Status.FinishedAt = message.BatchCanceled, &finished
	o.Status.Counts = &message.Counts{message.Sent: 1998, message.Failed: 1000, message.Canceled: 501, message.Rejected: 1}
	o.Status.Reasons = message.Reasons{
		{State: message.Failed, Code: message.CodeStore, Count: 1000}, {State: message.Rejected, Code: "format", Count: 1},
	}
	res := message.Result{V: 1, Status: o.Status, Large: &message.Large{
		Dir: o.Large.Dir, Segments: "eexx", Ended: message.Counts{message.Sent: 1998, message.Canceled: 2},
		Rest: &message.UnrunOutcome{State: message.Canceled, Code: "canceled", Detail: "enough", Finished: finished.UnixMilli()},
		RestOf: map[int]message.UnrunOutcome{
			3: {State: message.Failed, Code: message.CodeStore, Finished: finished.UnixMilli()},
		},
	}}
	require.NoError(t, b.store.KeepLedger(t.Context(), o.Large.Dir, 2, &message.Ledger{V: message.Version, Records: records(1000, func(i int) message.Record {
		r := sentRecord(i)
		if i == 1 || i == 2 {
			r.State, r.Code, r.Detail = message.Canceled, "canceled", "left"
		}
		return r
	})}))
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
