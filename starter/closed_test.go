package starter_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// tellsLedger answers the query for the ledger as a worker does that replays a run: in pages
// of at most some messages.
func tellsLedger(page contract.LedgerPage, size int) func(string, *commonpb.Payloads) (any, error) {
	return func(name string, args *commonpb.Payloads) (any, error) {
		var q contract.LedgerQuery
		if err := converter.GetDefaultDataConverter().FromPayloads(args, &q); name != contract.QueryLedger || err != nil {
			return nil, fmt.Errorf("unknown query %s: %w", name, err)
		}
		part, to := page, min(q.From+size, len(page.Ledger.Records))
		part.Ledger.Records = page.Ledger.Records[q.From:to]
		part.InFlight = nil
		for _, f := range page.InFlight {
			if first := f.Positions()[0]; first >= q.From && first < to {
				part.InFlight = append(part.InFlight, f)
			}
		}
		if to < len(page.Ledger.Records) {
			part.Next = to
		}
		return part, nil
	}
}

// under is an activity as the server has it.
func under(id, name string, started bool, heartbeat *commonpb.Payloads) *workflowpb.PendingActivityInfo {
	p := &workflowpb.PendingActivityInfo{ActivityId: id, ActivityType: &commonpb.ActivityType{Name: name}, HeartbeatDetails: heartbeat}
	if started {
		p.LastStartedTime = timestamppb.New(noon)
	}
	return p
}

// cut ends a workflow as Temporal does, with what it knew and what was under way.
func (w *flow) cut(t *testing.T, page contract.LedgerPage, pending ...*workflowpb.PendingActivityInfo) {
	t.Helper()
	w.work(noon)
	w.query, w.pending = tellsLedger(page, 400), pending
	w.terminate(noon.Add(time.Minute))
}

func attemptOf(index int) contract.InFlight {
	return contract.InFlight{ID: contract.AttemptID(index, 1), Spans: [][2]int{{index, index + 1}}}
}

func sendingRecord(int) message.Record {
	return message.Record{
		State: message.Sending, Attempts: 1, HopAttempts: 1, Due: noon.UnixMilli(), Expires: noon.Add(time.Hour).UnixMilli(), Rev: 4,
	}
}

// cutBatch is batch a with a message of each kind, which Temporal ended.
func cutBatch(t *testing.T, size int) (*starter.Starter, *fake) {
	t.Helper()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 7))
	page := contract.LedgerPage{
		V: 1, Rev: 40, Started: noon.UnixMilli(), SendAt: noon.Add(time.Second).UnixMilli(),
		InFlight: []contract.InFlight{attemptOf(1), attemptOf(2), attemptOf(3)},
	}
	page.Ledger = message.Ledger{V: 1, Records: records(7, func(i int) message.Record {
		rec := sendingRecord(i)
		switch i {
		case 0, 4:
			rec = sentRecord(i)
			if i == 4 {
				rec = retryingRecord(i)
			}
			rec.Rev = 4
			return rec
		case 1, 2, 3:
			return rec
		case 5:
			return message.Record{State: message.Scheduled, Due: noon.UnixMilli(), Expires: noon.Add(time.Second).UnixMilli(), Rev: 6}
		}
		return message.Record{State: message.Rejected, Code: "required", Finished: noon.UnixMilli(), Rev: 7}
	})}
	w := f.flow(t, "batch-a")
	w.cut(t, page, under("1.1", contract.SendName, true, nil), under("2.1", contract.SendName, false, nil), under("5", contract.DeliverName, true, nil))
	w.query = tellsLedger(page, size)
	return s, f
}

func TestABatchThatTemporalEndedIsReadFromItsClosedRun(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 100} {
		s, _ := cutBatch(t, size)
		st, err := s.Status(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, message.BatchFailed, st.State)
		require.Equal(t, message.Counts{
			message.Sent: 1, message.Unknown: 1, message.Canceled: 3, message.Expired: 1, message.Rejected: 1,
		}, *st.Counts)
		require.Equal(t, 7, st.Total)
		require.Equal(t, noon.Add(time.Minute), *st.FinishedAt)
		require.Equal(t, noon, *st.StartedAt)
		require.Equal(t, noon.Add(time.Second), *st.SendAfter)
		require.Greater(t, st.Rev, int64(40), "a watcher sees the end as a change")

		var counted message.Counts
		var states []message.State
		for row, err := range s.Results(t.Context(), a, starter.ResultQuery{}) {
			require.NoError(t, err)
			require.NotNil(t, row.FinishedAt)
			require.LessOrEqual(t, row.Rev, st.Rev)
			counted[row.State]++
			states = append(states, row.State)
		}
		require.Equal(t, *st.Counts, counted)
		require.Equal(t, []message.State{
			message.Sent, message.Unknown, message.Canceled, message.Canceled, message.Canceled, message.Expired, message.Rejected,
		}, states)
		changed, err := s.Messages(t.Context(), a, message.PageQuery{Since: 40})
		require.NoError(t, err)
		require.Len(t, changed.Messages, 5)

		row, err := s.Message(t.Context(), a, "1")
		require.NoError(t, err)
		require.Equal(t, "lost", row.Code)
		require.Len(t, row.Trail, 1)
		row, err = s.Message(t.Context(), a, "3")
		require.NoError(t, err)
		require.Equal(t, "temporal ended the workflow before a provider took it", row.Detail)
		require.Zero(t, row.Attempts, "the server never heard of it")

		waited, err := s.Wait(t.Context(), a)
		require.NoError(t, err)
		waited.AsOf = st.AsOf
		require.Equal(t, st, waited)
		got, err := s.Cancel(t.Context(), a, message.CancelRequest{})
		require.NoError(t, err)
		require.Equal(t, message.CancelCounts{Sent: 1, Ended: 6}, got.Counts)
	}
}

func TestABatchThatTemporalEndedBeforeItsFirstTask(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 3))
	f.flow(t, "batch-a").terminate(noon.Add(time.Minute))
	st, err := s.Status(t.Context(), a)
	require.NoError(t, err, "no worker is needed")
	require.Equal(t, message.Counts{message.Canceled: 2, message.Rejected: 1}, *st.Counts)
	require.Equal(t, message.BatchFailed, st.State)
	require.Nil(t, st.StartedAt)
	page, err := s.Messages(t.Context(), a, message.PageQuery{})
	require.NoError(t, err)
	require.Equal(t, noon, *page.Messages[0].DueAt)
}

func TestARunThatTemporalEndedBeforeItsFirstTaskIsAsTheRunBeforeLeftIt(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 7)
	start(t, s, r)
	w := f.flow(t, "batch-a")
	ms := noon.UnixMilli()
	rec := func(state message.State, doubt int64) message.Record {
		return message.Record{State: state, Due: ms, Expires: ms + 3_600_000, Doubt: doubt, Attempts: 1, Rev: 40}
	}
	state := &contract.State{
		Rev: 900, Started: ms, SendAt: ms + 1000,
		Records: []message.Record{
			rec(message.Sent, 0), rec(message.Scheduled, 0), rec(message.Sending, ms), rec(message.Retrying, 0),
			rec(message.Canceled, 0),
			{State: message.Accepted, Due: ms, Expires: ms + 1},
			rec(message.Rejected, 0),
		},
		Trails: message.Trails{{{At: ms, Attempt: 1, Event: message.EventSent}}},
	}
	in := contract.Input{V: 1, Batch: *r.Batch, State: state}
	in.Batch.ID, in.Batch.Tenant = "a", "default"
	w.events[0].GetWorkflowExecutionStartedEventAttributes().Input = payloads(t, in)
	w.terminate(noon.Add(time.Minute))

	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, message.Counts{
		message.Sent: 1, message.Canceled: 3, message.Unknown: 1, message.Expired: 1, message.Rejected: 1,
	}, *st.Counts)
	require.Greater(t, st.Rev, int64(900), "a watcher sees the end as a change")
	require.Equal(t, ms+1000, st.SendAfter.UnixMilli())
	page, err := s.Messages(t.Context(), a, message.PageQuery{Since: 900})
	require.NoError(t, err)
	require.Len(t, page.Messages, 4)
	row, err := s.Message(t.Context(), a, "0")
	require.NoError(t, err)
	require.Len(t, row.Trail, 1)
}

// A worker that stops gives up its polls, and the server what it had given to one of them.
func TestAQuestionThatMetAStoppingWorkerIsAskedAgain(t *testing.T) {
	t.Parallel()
	once := func(w *flow) {
		answer, asked := w.query, 0
		w.query = func(name string, args *commonpb.Payloads) (any, error) {
			if asked++; asked == 1 {
				return nil, serviceerror.NewCanceled("context canceled")
			}
			return answer(name, args)
		}
	}
	s, f, _ := openBatchWith(t, 3, starter.Options{})
	once(f.flow(t, "batch-a"))
	_, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	s, f = cutBatch(t, 100)
	once(f.flow(t, "batch-a"))
	_, err = s.Status(t.Context(), a)
	require.NoError(t, err)
}

func TestNobodyGuessesWhatBecameOfABatchThatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			spoil func(*flow)
			is    error
			says  string
		}{
			"no worker":     {func(w *flow) { w.query = nil }, starter.ErrNoWorker, "replays it"},
			"failing tasks": {func(w *flow) { w.failing = true }, nil, "workflow tasks were failing"},
			"other code": {func(w *flow) {
				w.query = func(string, *commonpb.Payloads) (any, error) { return nil, errors.New("nondeterministic") }
			}, nil, "cannot replay it"},
			"a replay that stops short": {func(w *flow) {
				w.pending = append(w.pending, under("4.2", contract.SendName, true, nil))
			}, nil, "4.2"},
		} {
			section(t, name, func(t *testing.T) {
				s, f := cutBatch(t, 100)
				tt.spoil(f.flow(t, "batch-a"))
				if tt.is != nil {
					s = starter.New(f.client, starter.Options{Wait: 100 * time.Millisecond})
				}
				_, err := s.Status(t.Context(), a)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "batch a")
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
			})
		}
	})
}
