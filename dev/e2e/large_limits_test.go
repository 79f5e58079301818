package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	common "go.temporal.io/api/common/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"google.golang.org/protobuf/proto"

	"volley/internal/message"
	"volley/starter"
)

// Bounds that docs/large-batches.md promises.
const (
	mostEvents  = 20_000
	mostHistory = 10 << 20
	mostPayload = 256 << 10
	mostPending = 1_000
)

func TestLargeBatchesStayWithinTheBoundsOfTheServer(t *testing.T) {
	t.Parallel()
	inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
		l.serve(t)
		total := 30_000
		if l.mode == messages {
			total = 3_000
		}
		all := make([]note, total)
		want := make([]message.State, total)
		for i := range all {
			all[i] = note{To: fmt.Sprintf("somebody-%d", i), Params: map[string]string{"name": "Ann"}}
			want[i] = message.Sent
			switch {
			case i%50 == 1:
				all[i].To += "+reject"
				want[i] = message.Failed
			case i%50 == 2:
				all[i].Params = nil
				want[i] = message.Rejected
			case i%100 == 3:
				all[i].To += "+flaky"
			case i%500 == 4:
				all[i].To += "+drop"
			}
		}
		ref := l.startText(t, l.starter, l.served[0].Name, "A confidential text for ${name}", all)
		stop := l.observe(t, ref, total)
		status, rows := l.wait(t, ref)
		stop()
		require.Equal(t, message.BatchCompleted, status.State)
		for i := range rows {
			if rows[i].State != want[i] {
				require.Equal(t, want[i], rows[i].State, "message %d: %s %s", i, rows[i].Code, rows[i].Detail)
			}
		}
		l.agree(t, rows)
		id := starter.WorkflowID(ref)
		require.GreaterOrEqual(t, l.children(t, id), total/message.SegmentMessages)
		l.bounded(t, id)
		for n := 1; n <= l.children(t, id); n++ {
			l.bounded(t, fmt.Sprintf("%s~%04d", id, n))
		}
	})
}

// observe looks at a batch all the time until stop is called: its counts add up, and
// neither it nor its first segments have too much under way.
func (l *lab) observe(t *testing.T, ref starter.Ref, total int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if s, err := l.starter.Status(ctx, ref); err == nil {
				looks++
				if s.Counts.Total() != total {
					t.Errorf("the counts add up to %d: %v", s.Counts.Total(), *s.Counts)
				}
			}
			for _, end := range []string{"", "~0001", "~0002"} {
				d, err := l.client.DescribeWorkflowExecution(ctx, starter.WorkflowID(ref)+end, "")
				if err != nil {
					continue
				}
				if a, c := len(d.GetPendingActivities()), len(d.GetPendingChildren()); max(a, c) > mostPending {
					t.Errorf("the workflow %s has %d activities and %d children under way", end, a, c)
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		require.Positive(t, looks)
	}
}

// bounded checks the histories of a workflow.
func (l *lab) bounded(t *testing.T, workflowID string) {
	t.Helper()
	for _, run := range l.runs(t, workflowID) {
		require.Less(t, len(run.GetEvents()), mostEvents, workflowID)
		require.Less(t, proto.Size(run), mostHistory, workflowID)
		require.LessOrEqual(t, largestPayload(t, run), mostPayload, workflowID)
		raw, err := proto.Marshal(run)
		require.NoError(t, err)
		for _, secret := range []string{"somebody", "confidential", "Ann"} {
			require.False(t, bytes.Contains(raw, []byte(secret)), "%s stands in the history of %s", secret, workflowID)
		}
	}
}

// largestPayload is the size of the largest payload in a history.
func largestPayload(t *testing.T, run *history.History) (most int) {
	t.Helper()
	err := proxy.VisitPayloads(t.Context(), run, proxy.VisitPayloadsOptions{
		Visitor: func(_ *proxy.VisitPayloadsContext, some []*common.Payload) ([]*common.Payload, error) {
			for _, p := range some {
				most = max(most, len(p.GetData()))
			}
			return some, nil
		},
	})
	require.NoError(t, err)
	require.Positive(t, most)
	return most
}
