package e2e_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

func TestRedrivesOfABatchThatRunsTakeNothingTwice(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 42)
	for i := range all {
		switch {
		case i < 2:
			all[i].To += "+down"
		case i < 32:
			all[i].To += "+reject"
		}
	}
	old := l.start(t, l.starter, "hook", all)
	require.Eventually(t, func() bool {
		st, err := l.starter.Status(t.Context(), old)
		return err == nil && st.Counts[message.Failed] == 30 && st.Counts[message.Sent] == 10
	}, 60*time.Second, 100*time.Millisecond)

	var queries []starter.RedriveQuery
	for i := range 8 {
		queries = append(
			queries, starter.RedriveQuery{States: [][]string{nil, {"failed"}, {"failed", "canceled"}, {"not-sent"}}[i%4]},
			starter.RedriveQuery{Selector: message.Selector{To: all[2+i].To}}, starter.RedriveQuery{Selector: message.Selector{Account: "hook"}, States: []string{"failed"}},
		)
	}
	var mu sync.Mutex
	batches := map[string]bool{}
	var calls sync.WaitGroup
	for _, q := range queries {
		calls.Go(func() {
			got, err := l.starter.Redrive(context.Background(), old, q)
			for errors.Is(err, starter.ErrNoWorker) && t.Context().Err() == nil { // so many at once keep a busy machine's worker from answering
				got, err = l.starter.Redrive(context.Background(), old, q)
			}
			if err != nil && !errors.Is(err, starter.ErrNotFound) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				batches[got.ID] = true
			}
		})
	}
	calls.Wait()
	again := map[string]int{}
	for id := range batches {
		_, rows := l.wait(t, starter.Ref{ID: id})
		for _, row := range rows {
			again[row.To]++
		}
	}
	require.Len(t, again, 30)
	for i := 2; i < 32; i++ {
		require.Equal(t, 1, again[all[i].To], all[i].To)
	}
	d, err := l.client.DescribeWorkflowExecution(t.Context(), contract.RedriveID(starter.WorkflowID(old), 1), "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus(), "as long as the batch runs")

	_, err = l.starter.Cancel(t.Context(), old, message.CancelRequest{})
	require.NoError(t, err)
	l.wait(t, old)
	rest, err := l.starter.Redrive(t.Context(), old, starter.RedriveQuery{States: []string{"not-sent"}})
	require.NoError(t, err)
	if !rest.Existing {
		require.Equal(t, 2, rest.Total)
	}
	_, err = l.starter.Cancel(t.Context(), starter.Ref{ID: rest.ID}, message.CancelRequest{})
	require.NoError(t, err)
}
