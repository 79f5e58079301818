package starter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// resultOf is how a batch of n messages ended: sent, failed, expired, unknown,
// canceled in turn, the first over two hops.
func resultOf(id string, n int) message.Result {
	b := batchOf(n)
	b.ID, b.Tenant = id, starter.DefaultTenant
	states := []message.State{message.Sent, message.Failed, message.Expired, message.Unknown, message.Canceled}
	var counts message.Counts
	res := message.Result{V: 1, Trails: make(message.Trails, n)}
	for i := range n {
		rec := message.Record{State: states[i%len(states)], Due: noon.UnixMilli(), Finished: noon.UnixMilli() + 5, Rev: int64(i + 1), Attempts: 1}
		if rec.State == message.Failed {
			rec.Code = "http_400"
		}
		counts[rec.State]++
		res.Rows = append(res.Rows, b.RowOf(message.KeyOf("batch-"+id), i, &b.Messages[i], &rec))
	}
	res.Trails[0] = []message.Entry{
		{At: noon.UnixMilli(), Attempt: 1, Event: message.EventRejected, Code: "http_400"},
		{At: noon.UnixMilli() + 5, Hop: 1, Attempt: 2, Event: message.EventSent},
	}
	ended := noon.Add(time.Minute)
	res.Status = message.Status{
		ID: id, Dialect: "volley", Tenant: "default", State: message.BatchCompleted, Dispatch: "message",
		CreatedAt: noon, FinishedAt: &ended, Total: n, Counts: &counts, Metadata: []byte(`{}`), AsOf: ended, Rev: int64(n),
	}
	return res
}

// closedBatch is a starter with one batch that has ended.
func closedBatch(t *testing.T, n int) (*starter.Starter, *fake, message.Result) {
	t.Helper()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", n))
	res := resultOf("a", n)
	f.flow(t, "batch-a").complete(t, res)
	return s, f, res
}

var a = starter.Ref{ID: "a"}

// worker answers queries out of a result, as the workflow would.
func worker(t *testing.T, res message.Result) func(string, *commonpb.Payloads) (any, error) {
	t.Helper()
	return func(name string, args *commonpb.Payloads) (any, error) {
		switch name {
		case contract.QueryStatus:
			return res.Status, nil
		case contract.QueryMessages:
			var q message.PageQuery
			if err := converter.GetDefaultDataConverter().FromPayloads(args, &q); err != nil {
				return nil, err
			}
			return message.Pages(q, len(res.Rows),
				func(i int) (message.State, int64) { return res.Rows[i].State, res.Rows[i].Rev },
				func(i int) message.Row { return res.Rows[i] })
		case contract.QueryMessage:
			var id string
			if err := converter.GetDefaultDataConverter().FromPayloads(args, &id); err != nil {
				return nil, err
			}
			for _, row := range res.Rows {
				if row.ID == id {
					return row, nil
				}
			}
			return nil, temporal.NewApplicationError("the batch has no message "+id, contract.ErrNoMessageType)
		}
		return nil, fmt.Errorf("unknown query %s", name)
	}
}

// openBatch is a starter with one batch that runs and a worker that answers
// queries; an update it answers only when the test says how.
func openBatch(t *testing.T, n int) (*starter.Starter, *fake, message.Result) {
	t.Helper()
	return openBatchWith(t, n, starter.Options{})
}

func openBatchWith(t *testing.T, n int, o starter.Options) (*starter.Starter, *fake, message.Result) {
	t.Helper()
	s, f := newStarter(t, o)
	start(t, s, request("a", n))
	res := resultOf("a", n)
	res.Status.State = message.BatchRunning
	f.flow(t, "batch-a").query = worker(t, res)
	return s, f, res
}

func TestReadsOfOpenAndClosedBatchesAgree(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, int) (*starter.Starter, *fake, message.Result){
		"open": openBatch, "closed": closedBatch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, res := open(t, 12)
			st, err := s.Status(t.Context(), a)
			require.NoError(t, err)
			if name == "open" {
				res.Status.AsOf = noon // the moment of the question
			}
			require.Equal(t, res.Status, st)

			page, err := s.Messages(t.Context(), a, message.PageQuery{Limit: 5})
			require.NoError(t, err)
			require.Equal(t, []message.Row(res.Rows[:5]), page.Messages)
			page, err = s.Messages(t.Context(), a, message.PageQuery{Limit: 9, Cursor: page.Next})
			require.NoError(t, err)
			require.Equal(t, []message.Row(res.Rows[5:]), page.Messages)
			require.Empty(t, page.Next)

			page, err = s.Messages(t.Context(), a, message.PageQuery{State: "failed"})
			require.NoError(t, err)
			require.Equal(t, []message.Row{res.Rows[1], res.Rows[6], res.Rows[11]}, page.Messages)
			page, err = s.Messages(t.Context(), a, message.PageQuery{Since: 11})
			require.NoError(t, err)
			require.Equal(t, []message.Row(res.Rows[11:]), page.Messages)

			for _, ask := range []string{"3", res.Rows[3].ID} {
				row, err := s.Message(t.Context(), a, ask)
				require.NoError(t, err)
				require.Equal(t, []message.AddressRow{{Kind: message.KindPhone, Value: row.To}}, row.Addresses)
				row.Addresses = nil
				require.Equal(t, res.Rows[3], row)
			}
			for _, ask := range []string{"12", "-1", "x", "", message.KeyOf("batch-b").MessageID(0), message.KeyOf("batch-a").MessageID(12)} {
				_, err := s.Message(t.Context(), a, ask)
				require.ErrorIs(t, err, starter.ErrNotFound, "%q", ask)
			}
		})
	}
}

func TestResultsYieldEachRowOnce(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 600)
	next, seen := 0, f.flow(t, "batch-a")
	for row, err := range s.Results(t.Context(), a, starter.ResultQuery{}) {
		require.NoError(t, err)
		require.Equal(t, res.Rows[next], row)
		if next++; next == 500 {
			f.mu.Lock()
			seen.complete(t, res) // between two pages
			f.mu.Unlock()
		}
	}
	require.Equal(t, 600, next)

	n := 0
	for row, err := range s.Results(t.Context(), a, starter.ResultQuery{State: "unknown"}) {
		require.NoError(t, err)
		require.Equal(t, message.Unknown, row.State)
		n++
	}
	require.Equal(t, 120, n)
	for _, err := range s.Results(t.Context(), a, starter.ResultQuery{State: "lost"}) {
		require.ErrorIs(t, err, starter.ErrInvalid)
	}
	for _, err := range s.Results(t.Context(), a, starter.ResultQuery{}) {
		require.NoError(t, err)
		break // stopping early is fine
	}
}

func TestTrailOfAClosedBatchNamesTheAccountOfEachHop(t *testing.T) {
	t.Parallel()
	s, _, _ := closedBatch(t, 3)
	row, err := s.Message(t.Context(), a, "0")
	require.NoError(t, err)
	require.Len(t, row.Trail, 2)
	require.Equal(t, "one", row.Trail[0].Account)
	require.Equal(t, message.EventRejected, row.Trail[0].Event)
	require.Equal(t, "two", row.Trail[1].Account)
}

func TestMessagesRefuses(t *testing.T) {
	t.Parallel()
	s, _, _ := closedBatch(t, 3)
	for name, q := range map[string]message.PageQuery{
		"an unknown state": {State: "gone"}, "a negative limit": {Limit: -1},
		"a cursor of its own": {Cursor: "abc"}, "a negative cursor": {Cursor: "-1"}, "a cursor past the end": {Cursor: "9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Messages(t.Context(), a, q)
			require.ErrorIs(t, err, starter.ErrInvalid)
		})
	}
}

func TestWaitReturnsTheFinalStatus(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 2))
	res := resultOf("a", 2)
	type answer struct {
		st  message.Status
		err error
	}
	got := make(chan answer, 1)
	go func() {
		st, err := s.Wait(t.Context(), a)
		got <- answer{st, err}
	}()
	f.mu.Lock()
	f.flows["batch-a"].complete(t, res)
	f.mu.Unlock()
	end := <-got
	require.NoError(t, end.err)
	require.Equal(t, res.Status, end.st)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := openBatch(t, 1)
		ctx, cancel := context.WithTimeout(t.Context(), short)
		defer cancel()
		_, err := s.Wait(ctx, a)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestTheEndOfOneRunIsNotTheEndOfItsBatch(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 3)
	again := enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
	f.flow(t, "batch-a").between = []enumspb.WorkflowExecutionStatus{again, again}
	st, err := s.Status(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, res.Status.Total, st.Total)
	f.flow(t, "batch-a").between = slices.Repeat([]enumspb.WorkflowExecutionStatus{again}, 10)
	f.grow(t, "batch-a")
	_, err = s.Status(t.Context(), a)
	require.ErrorIs(t, err, starter.ErrNoWorker, "it never waits for the end of the batch")
}

func TestAQuestionThatAWorkerCouldNotAnswerIsPutAgain(t *testing.T) {
	t.Parallel()
	s, f, res := openBatch(t, 3)
	answer, failures := worker(t, res), 2
	f.flow(t, "batch-a").query = func(name string, args *commonpb.Payloads) (any, error) {
		if failures--; failures >= 0 {
			return nil, errors.New("it was busy with something else")
		}
		return answer(name, args)
	}
	_, err := s.Status(t.Context(), a)
	require.NoError(t, err)
}
