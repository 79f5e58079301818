package starter_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// loading is a segment that Temporal ended before it was read.
func loading(string, *commonpb.Payloads) (any, error) {
	return nil, temporal.NewApplicationError("not yet", contract.ErrLoadingType)
}

// span is a group of messages of a segment whose first index is given.
func span(first, from, to int) contract.InFlight {
	return contract.InFlight{ID: contract.GroupID(first+from, 1), Spans: [][2]int{{from, to}}, Group: true}
}

func outcomes(n int, kind string) contract.Outcomes {
	all := make(contract.Outcomes, n)
	for i := range all {
		all[i] = contract.SendResult{V: 1, Kind: kind, At: noon.UnixMilli() + 9}
		if kind == contract.KindSent {
			all[i].ProviderID = fmt.Sprintf("g-%d", i)
		}
	}
	return all
}

// cutSegment cuts segment 3 of halfway's batch short: it had groups under way and single
// attempts, and everything else waited.
func (b *big) cutSegment(t *testing.T, dir string) message.Counts {
	t.Helper()
	page := contract.LedgerPage{V: 1, Rev: noon.UnixMilli() << 10, Started: noon.UnixMilli(), InFlight: []contract.InFlight{
		span(2000, 0, 100), span(2000, 100, 110), span(2000, 110, 120), span(2000, 120, 130), attemptOf(2130), attemptOf(2131),
	}}
	page.InFlight[4].Spans, page.InFlight[5].Spans = [][2]int{{130, 131}}, [][2]int{{131, 132}}
	page.Ledger = message.Ledger{V: 1, Records: records(1000, func(i int) message.Record {
		switch {
		case i < 132:
			return sendingRecord(i)
		case i < 140:
			return sentRecord(i)
		}
		return message.Record{State: message.Accepted, Due: noon.UnixMilli(), Expires: noon.Add(time.Hour).UnixMilli(), Rev: 3}
	})}
	progress := contract.GroupProgress{V: 1, Watermark: 50, Outcomes: append(outcomes(20, contract.KindSent), append(outcomes(4, "rejected"), make(contract.Outcomes, 26)...)...)}
	w := b.fake.flows["batch-a~0003"]
	if w == nil {
		w = b.child(t, 3, contract.SegmentInput{})
	}
	w.events[0].GetWorkflowExecutionStartedEventAttributes().Input = payloads(t, contract.SegmentInput{V: 1, Dir: dir, Number: 3})
	w.cut(t, page,
		under(page.InFlight[0].ID, contract.GroupName, true, payloads(t, progress)),
		under(page.InFlight[1].ID, contract.GroupName, true, nil),
		under(page.InFlight[2].ID, contract.GroupName, true, payloads(t, "not progress")),
		under(page.InFlight[3].ID, contract.GroupName, false, nil),
		under(page.InFlight[4].ID, contract.SendName, true, nil))
	var counts message.Counts
	counts[message.Sent] = 20 + 8
	counts[message.Unknown] = 26 + 10 + 1 // below the watermark, in the group that cannot be read, and an attempt
	return counts
}

// cutRetrying cuts segment 2 of halfway's batch short: of its first messages one was sent,
// one waited for its next attempt where waits says so, and one had it under way.
func (b *big) cutRetrying(t *testing.T, dir string, waits bool) {
	t.Helper()
	page := contract.LedgerPage{V: 1, InFlight: []contract.InFlight{{ID: "1002.3", Spans: [][2]int{{2, 3}}}}}
	page.Ledger = message.Ledger{V: 1, Records: records(1000, func(i int) message.Record {
		switch {
		case i == 1 && waits:
			return retryingRecord(i)
		case i == 2:
			return sendingRecord(i)
		}
		return sentRecord(i)
	})}
	w := b.fake.flow(t, "batch-a~0002")
	w.events[0].GetWorkflowExecutionStartedEventAttributes().Input = payloads(t, contract.SegmentInput{V: 1, Dir: dir, Number: 2})
	w.cut(t, page, under("1002.3", contract.SendName, true, nil))
}

// agree holds the status of a large batch to its results, and returns these.
func (b *big) agree(t *testing.T) (message.Status, []message.Row) {
	t.Helper()
	st, err := b.Status(t.Context(), a)
	require.NoError(t, err)
	var counts message.Counts
	rows := all(t, b, starter.ResultQuery{})
	for _, row := range rows {
		require.LessOrEqual(t, row.Rev, st.Rev)
		counts[row.State]++
	}
	require.Equal(t, *st.Counts, counts)
	require.Equal(t, st.Total, counts.Total())
	return st, rows
}

func TestALargeBatchThatTemporalEndedIsPutTogether(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	dir := o.Large.Dir
	w := b.fake.flow(t, "batch-a")
	w.work(noon)
	w.terminate(noon.Add(time.Minute))
	want := b.cutSegment(t, dir)
	b.cutRetrying(t, dir, false)
	want[message.Sent] += 1000 + 997 + 1 + 1
	want[message.Unknown]++
	want[message.Rejected] = 1
	want[message.Canceled] = 3500 - want.Total()

	st, rows := b.agree(t)
	require.Equal(t, message.BatchFailed, st.State)
	require.Equal(t, want, *st.Counts)
	require.Equal(t, noon.Add(time.Minute), *st.FinishedAt)
	require.Equal(t, noon, *st.StartedAt)
	require.Equal(t, "g-7", rows[2007].ProviderID)
	require.Equal(t, message.Canceled, rows[2020].State, "it waited for its second hop")
	require.Equal(t, "two", rows[2020].Account)
	require.Equal(t, message.Unknown, rows[2030].State, "below the watermark, without an outcome")
	require.Equal(t, message.Canceled, rows[2060].State)
	require.Zero(t, rows[2060].Attempts, "above the watermark nothing left")
	require.Equal(t, message.Canceled, rows[2105].State, "without a heartbeat nothing left")
	require.Equal(t, message.Unknown, rows[2130].State)
	require.Equal(t, message.Canceled, rows[2131].State, "the server never heard of it")
	require.Equal(t, message.Sent, rows[1001].State)
	require.Equal(t, message.Unknown, rows[1002].State)
	require.Equal(t, message.Rejected, rows[3499].State)

	t.Run("once it was put together the store knows", func(t *testing.T) {
		asked := b.called("QueryWorkflow")
		b.agree(t)
		require.LessOrEqual(t, b.called("QueryWorkflow")-asked, 2, "only whether it is open")
		clear(b.fake.flows)
		again, err := b.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, want, *again.Counts)
		require.Equal(t, rows, all(t, b, starter.ResultQuery{}))
	})
}

func TestALargeBatchMayHaveBegunWhatTheServerNeverHeardOf(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	o.Large.Segments = "ewrr"
	b.fake.onStart(o)
	w := b.fake.flow(t, "batch-a")
	w.query = b.fake.answer
	w.work(noon)
	w.terminate(noon.Add(time.Minute))
	want := b.cutSegment(t, o.Large.Dir)
	b.cutRetrying(t, o.Large.Dir, true)
	want[message.Sent] += 1000 + 998
	want[message.Unknown]++
	want[message.Rejected] = 1
	want[message.Canceled] = 3500 - want.Total()
	st, rows := b.agree(t)
	require.Equal(t, want, *st.Counts)
	require.Equal(t, message.Canceled, rows[1001].State, "it waited for its next attempt")
	require.Equal(t, 2, rows[1001].Attempts)
	row, err := b.Message(t.Context(), a, "1001")
	require.NoError(t, err)
	require.NotEmpty(t, row.Trail)
}

func TestASegmentThatEndedByItselfAfterItsBatchHadEnded(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	w := b.fake.flow(t, "batch-a")
	w.work(noon)
	w.terminate(noon.Add(time.Minute))
	b.cutRetrying(t, o.Large.Dir, false)
	require.NoError(t, b.store.KeepLedger(t.Context(), o.Large.Dir, 3, &message.Ledger{V: 1, Records: records(1000, func(i int) message.Record {
		r := sentRecord(i)
		if i == 0 {
			r.State, r.Code = message.Expired, "expired"
		}
		return r
	})}))
	b.fake.flow(t, "batch-a~0003").complete(t, contract.SegmentResult{V: 1, Counts: message.Counts{message.Sent: 999, message.Expired: 1}})
	st, _ := b.agree(t)
	require.Equal(t, message.Counts{message.Sent: 1000 + 998 + 1 + 999, message.Unknown: 1, message.Expired: 1, message.Canceled: 499, message.Rejected: 1}, *st.Counts)
}

func TestALargeBatchThatTemporalEndedBeforeItsFirstTask(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	b.startBig(t, 1500)
	b.fake.flow(t, "batch-a").terminate(noon.Add(time.Minute))
	st, _ := b.agree(t)
	require.Equal(t, message.Counts{message.Canceled: 1499, message.Rejected: 1}, *st.Counts)
}

func TestASegmentOfAnEndedBatchThatStillRunsIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, o := halfway(t)
		w := b.fake.flow(t, "batch-a")
		w.work(noon)
		w.terminate(noon)
		b.cutRetrying(t, o.Large.Dir, false)
		quick := starter.New(b.fake.client, starter.Options{Store: b.store, Wait: 300 * time.Millisecond, Now: func() time.Time { return noon }})
		_, err := quick.Status(t.Context(), a)
		require.ErrorIs(t, err, starter.ErrStillRunning)
		require.ErrorContains(t, err, "segment 3")
		b.cutSegment(t, o.Large.Dir)
		b.agree(t)
	})
}

// closeOut closes out a segment of halfway's batch, which lives on.
func (b *big) closeOut(t *testing.T, dir string, number int) (contract.SegmentResult, error) {
	t.Helper()
	return b.CloseOut(t.Context(), contract.CloseOutInput{
		V: 1, ID: "a", Tenant: "default", Dir: dir, Number: number,
		Rest: message.UnrunOutcome{State: message.Failed, Code: "segment_lost", Detail: contract.DetailSegmentLost},
	})
}

func TestASegmentThatOthersEndedIsClosedOut(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	dir := o.Large.Dir
	want := b.cutSegment(t, dir)
	b.cutRetrying(t, dir, false)
	want[message.Failed] = 1000 - want.Total()
	before, rowsBefore := b.agree(t)
	require.Equal(t, want[message.Failed], before.Counts[message.Failed], "it is known before its ledger is there")

	res, err := b.closeOut(t, dir, 3)
	require.NoError(t, err)
	require.Equal(t, want, res.Counts)
	require.Equal(t, noon.UnixMilli(), res.Started)
	l, err := b.store.Ledger(t.Context(), dir, 3)
	require.NoError(t, err)
	require.Equal(t, "segment_lost", l.Records[999].Code)
	again, err := b.closeOut(t, dir, 3)
	require.NoError(t, err)
	require.Equal(t, res, again)

	_, rows := b.agree(t)
	require.Equal(t, rowsBefore, rows)
	_, err = b.closeOut(t, dir, 2)
	require.NoError(t, err)
	o.Large.Segments, o.Status.Counts, o.Status.Rev = "eee-", before.Counts, res.Rev // as the batch takes it over
	o.Counts, o.Large.Ended = nil, *before.Counts
	o.Large.Ended[message.Accepted], o.Large.Ended[message.Rejected] = 0, 0 // they are in the last one
	b.fake.onStart(o)
	b.fake.flow(t, "batch-a").query = b.fake.answer
	_, rows = b.agree(t)
	require.Equal(t, rowsBefore, rows)
	got, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(2135, message.Delivered, "one"), tells(2030, message.Delivered, "one")})
	require.NoError(t, err)
	require.Equal(t, 2, got.Kept, "reports of what had left are taken")
}

func TestASegmentThatOthersEndedBetweenTwoAttemptsIsClosedOut(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	b.cutRetrying(t, o.Large.Dir, true)
	_, before := b.agree(t)
	res, err := b.closeOut(t, o.Large.Dir, 2)
	require.NoError(t, err)
	require.Equal(t, message.Counts{message.Sent: 998, message.Unknown: 1, message.Failed: 1}, res.Counts)
	_, rows := b.agree(t)
	require.Equal(t, before, rows)
}

func TestAWorkflowThatHadDoneNothingYet(t *testing.T) {
	t.Parallel()
	in := func(dir string) contract.SegmentInput {
		return contract.SegmentInput{V: 1, Dir: dir, Number: 4, Due: noon.Add(time.Minute).UnixMilli()}
	}
	carry := func(dir string) contract.SegmentInput {
		in := in(dir)
		in.State = &contract.State{Rev: 9, Started: 5, Ledger: message.Ledger{V: 1, Records: records(500, sentRecord)}}
		return in
	}
	for name, tt := range map[string]struct {
		in     func(dir string) contract.SegmentInput
		loads  bool
		counts message.Counts
	}{
		"before its first task":       {in, false, message.Counts{message.Failed: 499, message.Rejected: 1}},
		"while it was read":           {in, true, message.Counts{message.Failed: 499, message.Rejected: 1}},
		"a run that went on from one": {carry, false, message.Counts{message.Sent: 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, o := halfway(t)
			w := b.child(t, 4, tt.in(o.Large.Dir))
			if tt.loads {
				w.work(noon)
				w.query = loading
			}
			w.terminate(noon)
			res, err := b.closeOut(t, o.Large.Dir, 4)
			require.NoError(t, err)
			require.Equal(t, tt.counts, res.Counts)
			l, err := b.store.Ledger(t.Context(), o.Large.Dir, 4)
			require.NoError(t, err)
			require.Len(t, l.Records, res.Counts.Total())
		})
	}
}

func TestWhatCannotBeClosedOutIsSaid(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	_, err := b.closeOut(t, o.Large.Dir, 4)
	require.ErrorContains(t, err, "no workflow")
	b.child(t, 4, contract.SegmentInput{V: 1, Dir: "another", Number: 4}).terminate(noon)
	_, err = b.closeOut(t, o.Large.Dir, 4)
	require.ErrorContains(t, err, "no workflow", "it is another batch's")
	b.cutSegment(t, o.Large.Dir)
	b.fake.flow(t, "batch-a~0003").failing = true
	_, err = b.closeOut(t, o.Large.Dir, 3)
	require.ErrorContains(t, err, "nobody")
}
