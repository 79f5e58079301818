package starter_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// owner lets a workflow answer cancels by name: some messages are sent, some are in
// flight, and the others end as canceled.
func owner(t *testing.T, sent, inFlight []int) func(string, *commonpb.Payloads) (any, error) {
	t.Helper()
	before := map[string]bool{}
	var mu sync.Mutex
	return func(name string, args *commonpb.Payloads) (any, error) {
		var q message.CancelRequest
		if err := converter.GetDefaultDataConverter().FromPayloads(args, &q); err != nil || name != contract.ControlCancel {
			return nil, errors.New("expected a cancel")
		}
		mu.Lock()
		defer mu.Unlock()
		var res message.CancelResult
		for _, id := range q.Messages {
			_, i, _ := message.ParseID(id)
			into := &res.Canceled
			switch {
			case slices.Contains(sent, i):
				into = &res.Sent
			case slices.Contains(inFlight, i):
				into = &res.InFlight
			case before[id]:
				into = &res.Ended
			}
			before[id] = true
			*into = append(*into, id)
		}
		return res, nil
	}
}

func idsOf(indexes ...int) []string {
	all := []string{}
	for _, i := range indexes {
		all = append(all, key.MessageID(i))
	}
	return all
}

// named is halfway's batch, whose workflows answer cancels.
func named(t *testing.T) *big {
	t.Helper()
	b, _ := halfway(t)
	b.fake.flow(t, "batch-a~0003").update = owner(t, []int{2001}, []int{2002})
	b.fake.flow(t, "batch-a~0002").update = owner(t, nil, nil)
	return b
}

func TestMessagesAreCanceledByNameWhereverTheyAre(t *testing.T) {
	t.Parallel()
	b := named(t)
	q := message.CancelRequest{Reason: "wrong number", Messages: []string{"5", "1001", "2001", "2002", "2500", "3001", "3499", "3001", key.MessageID(5)}}
	res, err := b.Cancel(t.Context(), a, q)
	require.NoError(t, err)
	require.Equal(t, message.CancelResult{
		Batch: "a", Confirmed: true, Canceled: idsOf(1001, 2500, 3001), Sent: idsOf(5, 2001), InFlight: idsOf(2002), Ended: idsOf(3499),
		Counts: message.CancelCounts{Canceled: 3, Sent: 2, InFlight: 1, Ended: 1},
	}, res)
	require.Empty(t, b.fake.flow(t, "batch-a").signals, "the batch's own workflow hears nothing of it")
	rows := all(t, b, starter.ResultQuery{State: "canceled"})
	require.Len(t, rows, 1)
	require.Equal(t, 3001, rows[0].Index)
	require.Equal(t, "wrong number", rows[0].Detail)

	later := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return noon.Add(time.Minute) }})
	res, err = later.Cancel(t.Context(), a, q)
	require.NoError(t, err)
	require.Empty(t, res.Canceled, "they were so before")
	require.Equal(t, idsOf(1001, 2500, 3001, 3499), res.Ended)

	_, err = b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"1", "3500"}})
	require.ErrorIs(t, err, starter.ErrNotFound)
	res, err = b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{}})
	require.NoError(t, err)
	require.Zero(t, res.Counts)
}

// Segments that end before they hear of it have their messages' ends in their ledgers.
func TestWhatEndsBeforeItHearsOfACancelIsReadFromItsLedger(t *testing.T) {
	t.Parallel()
	b := named(t)
	for number, canceled := range map[int]int{2: 1, 3: 500} {
		l := message.Ledger{V: 1, Records: records(1000, sentRecord)}
		l.Records[canceled].State, l.Records[canceled].Finished = message.Canceled, noon.UnixMilli() // it read the name
		require.NoError(t, b.store.KeepLedger(t.Context(), b.input(t).Large.Dir, number, &l))
	}
	b.fake.flow(t, "batch-a~0003").complete(t, contract.SegmentResult{V: 1})
	b.fake.flow(t, "batch-a~0002").complete(t, contract.SegmentResult{V: 1})
	res, err := b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"2500", "2501", "1001", "1002"}})
	require.NoError(t, err)
	require.Equal(t, idsOf(2500, 1001), res.Canceled)
	require.Equal(t, idsOf(2501, 1002), res.Sent)
}

// A segment that read the name before it was asked has canceled the message itself.
func TestAMessageThatItsSegmentEndsWhenItReadsItsNameIsCanceledByTheCall(t *testing.T) {
	t.Parallel()
	b := named(t)
	w := b.fake.flow(t, "batch-a~0003")
	w.update = func(string, *commonpb.Payloads) (any, error) {
		return message.CancelResult{Ended: idsOf(2500, 2501)}, nil
	}
	earlier := noon.Add(-time.Minute)
	w.query = pages(t, message.Status{}, []message.Row{
		{Index: 2500, ID: key.MessageID(2500), State: message.Canceled, FinishedAt: &noon},
		{Index: 2501, ID: key.MessageID(2501), State: message.Canceled, FinishedAt: &earlier},
	})
	res, err := b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"2500", "2501"}})
	require.NoError(t, err)
	require.Equal(t, idsOf(2500), res.Canceled)
	require.Equal(t, idsOf(2501), res.Ended)
}

// It may also end right after it was asked, before its message can be looked at.
func TestWhatASegmentCanceledByNameIsReadFromItsLedgerWhereItEndsMeanwhile(t *testing.T) {
	t.Parallel()
	b := named(t)
	l := message.Ledger{V: 1, Records: records(1000, sentRecord)}
	for i, at := range map[int]time.Time{500: noon, 501: noon.Add(-time.Minute), 502: noon.Add(time.Second)} {
		l.Records[i].State, l.Records[i].Finished = message.Canceled, at.UnixMilli()
	}
	require.NoError(t, b.store.KeepLedger(t.Context(), b.input(t).Large.Dir, 3, &l))
	w := b.fake.flow(t, "batch-a~0003")
	w.update = func(string, *commonpb.Payloads) (any, error) {
		w.complete(t, contract.SegmentResult{V: 1})
		return message.CancelResult{Canceled: idsOf(2502), Sent: idsOf(2503), Ended: idsOf(2500, 2501)}, nil
	}
	res, err := b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"2500", "2501", "2502", "2503"}})
	require.NoError(t, err)
	require.Equal(t, idsOf(2500, 2502), res.Canceled, "the second by the call itself, which its workflow told")
	require.Equal(t, idsOf(2501), res.Ended)
	require.Equal(t, idsOf(2503), res.Sent)
}

func TestCancelsByNameOfOneProcessAreWrittenTogether(t *testing.T) {
	t.Parallel()
	b := named(t)
	answer := b.fake.flow(t, "batch-a").query
	looks, busy := 0, make(chan struct{}, 1)
	b.fake.flow(t, "batch-a").query = func(name string, args *commonpb.Payloads) (any, error) {
		busy <- struct{}{} // one at a time
		looks++
		<-busy
		return answer(name, args)
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			id := key.MessageID(3000 + i)
			res, err := b.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{id}})
			if err != nil || !slices.Equal(res.Canceled, []string{id}) {
				t.Errorf("%+v: %v", res, err)
			}
		})
	}
	wg.Wait()
	names, err := b.store.Canceled(t.Context(), b.input(t).Large.Dir)
	require.NoError(t, err)
	require.Len(t, names, 100)
	require.Less(t, looks, 100)
}

func TestACancelByNameWithoutAWorkerIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := named(t)
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return noon }, Wait: short})
		q := message.CancelRequest{Reason: "r", Messages: []string{"3001"}}
		w := b.fake.flow(t, "batch-a")
		w.query = nil
		res, err := s.Cancel(t.Context(), a, q)
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.ErrorContains(t, err, "recorded but not confirmed")
		require.Equal(t, message.CancelResult{Batch: "a"}, res)
		require.Equal(t, []string{fmt.Sprintf(`cancel {"reason":"r","messages":["%s"]}`, key.MessageID(3001))}, w.signals, "for those that run already")
		names, err := b.store.Canceled(t.Context(), b.input(t).Large.Dir)
		require.NoError(t, err)
		require.Equal(t, message.Cancellations{{Index: 3001, At: noon.UnixMilli(), Reason: "r"}}, names)

		w.length = 40_000
		_, err = s.Cancel(t.Context(), a, q)
		require.ErrorIs(t, err, starter.ErrRefused)
		require.Len(t, w.signals, 1)
		_, err = s.Cancel(t.Context(), a, message.CancelRequest{})
		require.ErrorIs(t, err, starter.ErrNoWorker, "a cancel of all is always taken")
		require.Len(t, w.signals, 2)
	})
}

func TestASegmentThatDoesNotAnswerFindsACancelAsASignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := named(t)
		s := starter.New(b.fake.client, starter.Options{Store: b.store, Now: func() time.Time { return noon }, Wait: short})
		b.fake.flow(t, "batch-a~0003").update = nil
		res, err := s.Cancel(t.Context(), a, message.CancelRequest{Messages: []string{"2500", "3001"}})
		require.ErrorIs(t, err, starter.ErrNoWorker)
		require.False(t, res.Confirmed)
		require.Equal(t, []string{fmt.Sprintf(`cancel {"messages":["%s"]}`, key.MessageID(2500))}, b.fake.flow(t, "batch-a~0003").signals)
	})
}

func TestTheActivityCancelsByNameOnceHoweverOftenItRuns(t *testing.T) {
	t.Parallel()
	b := named(t)
	in := contract.CancelMessagesInput{V: 1, Batch: "batch-a", Call: 7, At: noon.UnixMilli(), Requests: []message.CancelRequest{
		{Reason: "r", Messages: idsOf(3001, 3002)}, {Messages: idsOf(2500)},
	}}
	for range 2 {
		res, err := b.CancelMessages(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, idsOf(3001, 3002), res.Results[0].Canceled)
	}
	require.Equal(t, []string{"names-7-1", "names-7-1"}, b.fake.updates, "the server knows the second as the first")
}

func TestACancelOfAllLeavesToOthersWhatTheyCanceledByName(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	b.startBig(t, 3000)
	o := message.Overview{V: 1, Opened: true, Large: message.Large{Dir: b.input(t).Large.Dir, Segments: "---"}, Status: message.Status{
		ID: "a", Tenant: "default", Dialect: "volley", State: message.BatchScheduled, Total: 3000, CreatedAt: noon, AsOf: noon,
		Counts: &message.Counts{message.Scheduled: 2999, message.Rejected: 1},
	}, Waiting: message.Counts{message.Scheduled: 2999, message.Rejected: 1}}
	tell := func() {
		b.fake.onStart(o)
		b.fake.flow(t, "batch-a").query = b.fake.answer
	}
	tell()
	b.names(t, message.Cancellation{Index: 7, At: noon.UnixMilli()}, message.Cancellation{Index: 2500, At: noon.UnixMilli()})
	canceled := 2999
	b.fake.flow(t, "batch-a").update = func(string, *commonpb.Payloads) (any, error) {
		o.Status.State, o.Large.Segments = message.BatchCanceling, "xxx"
		o.Large.Rest = &message.UnrunOutcome{State: message.Canceled, Code: "canceled", Finished: noon.UnixMilli() + 5}
		tell()
		b.fake.flow(t, "batch-a").show(t, message.BatchCanceling)
		return message.CancelResult{Batch: "a", Confirmed: true, Counts: message.CancelCounts{Canceled: canceled, Ended: 3000 - canceled}}, nil
	}
	res, err := b.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, message.CancelCounts{Canceled: 2997, Ended: 3}, res.Counts)

	canceled = 0
	res, err = b.Cancel(t.Context(), a, message.CancelRequest{})
	require.NoError(t, err)
	require.Equal(t, message.CancelCounts{Ended: 3000}, res.Counts, "the one before has done it")
}

func TestControlsAreBroughtToSegmentsSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := halfway(t)
		b.fake.flow(t, "batch-a~0003").update = func(name string, args *commonpb.Payloads) (any, error) {
			switch name {
			case contract.ControlReschedule:
				return message.RescheduleResult{Rescheduled: 600, Unchanged: 400}, nil
			case contract.ControlPause:
				return message.PauseResult{InFlight: idsOf(2001)}, nil
			case contract.ControlCancel:
				return message.CancelResult{Counts: message.CancelCounts{Canceled: 600, Sent: 400}}, nil
			}
			return nil, temporal.NewApplicationError("the batch has ended", contract.ErrEndedType)
		}
		b.child(t, 1, contract.SegmentInput{}).complete(t, contract.SegmentResult{})
		in := contract.ControlSegmentsInput{V: 1, Batch: "batch-a", Segments: []int{1, 3}, Round: 4, SendAfter: "2026-11-20T12:00:00Z", Pause: true}
		res, err := b.ControlSegments(t.Context(), in)
		require.NoError(t, err)
		counts, revs := map[int]message.Counts{3: {message.Accepted: 600, message.Sent: 400}}, map[int]int64{3: 1 << 60}
		require.Equal(t, contract.ControlSegmentsResult{V: 1, Answered: []int{3}, InFlight: idsOf(2001), Rescheduled: 600, Counts: counts, Revs: revs}, res)
		require.Contains(t, b.fake.updates, "pause-4")

		in.Segments = []int{3, 2, 9} // 2 does not answer, 9 is gone
		in.Cancel = &message.CancelRequest{Reason: "enough"}
		res, err = starter.New(b.fake.client, starter.Options{Wait: short}).ControlSegments(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, contract.ControlSegmentsResult{
			V:        1,
			Answered: []int{3}, Later: []int{2}, Canceled: message.CancelCounts{Canceled: 600, Sent: 400},
			Counts: counts, Revs: revs,
		}, res)
	})
}
