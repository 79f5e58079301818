package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// leaves has a segment of which message 2004 waits for an hour.
func leaves(t *testing.T) *segmentBench {
	b := newSegmentBench(t, 10)
	b.send = func(in activities.SendInput, _ int) answer {
		if in.Index == 2004 {
			return answer{kind: "throttled", after: time.Hour}
		}
		return takes
	}
	return b
}

func TestAnOrderThatComesTogetherWithTheLedgersEndIsDone(t *testing.T) {
	t.Parallel()
	b := leaves(t)
	b.env.OnActivity(workflows.KeepName, mock.Anything, mock.Anything).Return(func(ctx context.Context, in activities.KeepInput) error {
		if len(b.kept) == 0 {
			b.env.SignalWorkflowSkippingWorkflowTask("order", workflows.Order{Cancel: &message.CancelRequest{Reason: "late", Messages: []string{"2004"}}})
		}
		return b.onKeep(ctx, in)
	})
	res, l := b.run(segmentInput("message"))
	require.Zero(t, res.Left)
	require.Equal(t, message.Canceled, l.Records[4].State)
	require.Equal(t, "late", l.Records[4].Detail)
}

// A run goes on after another whose segment the store has lost since: what was sent
// is not failed.
func TestASegmentThatIsLostBetweenTwoRunsKeepsItsEnds(t *testing.T) {
	t.Parallel()
	first := leaves(t)
	first.lines[5].Due += 60_000
	first.at(5*time.Second, func() { first.env.SetCurrentHistoryLength(9_000) })
	first.at(6*time.Second, func() { first.env.SignalWorkflow("order", workflows.Order{Resume: true}) })
	first.env.ExecuteWorkflow(workflows.SendSegmentName, segmentInput("message"))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, first.env.GetWorkflowError(), &again)
	var in workflows.SegmentInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))

	b := newSegmentBench(t, 10)
	b.found = func(int) bool { return false }
	res, l := b.run(in)
	require.False(t, res.Lost)
	require.Equal(t, 8, res.Counts[message.Sent])
	require.Equal(t, 2, res.Counts[message.Failed])
	require.Equal(t, message.Failed, l.Records[4].State)
	require.Equal(t, message.CodeStore, l.Records[4].Code)
	require.Greater(t, l.Records[4].Rev, in.State.Rev)
}

// A store that is away for ten minutes is not asked every second.
func TestGroupsThatDoNothingWaitLongerAndLonger(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.group = func(in activities.GroupInput, _ int) (activities.Outcomes, error) {
		if b.env.Now().Before(start.Add(10 * time.Minute)) {
			return b.all(in, activities.KindNotStarted), nil
		}
		return b.all(in, activities.KindSent), nil
	}
	res, _ := b.run(segmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Less(t, len(b.groups), 40)
	require.WithinDuration(t, start.Add(10*time.Minute), b.env.Now(), time.Minute)
}
