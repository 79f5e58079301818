package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

func TestABatchTellsItsNotifyOnceASecondAndIsNotHeldOpen(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	heard := b.Hears()
	res := b.Run(flowtest.Batch(300, flowtest.WithCallbacks, func(m *message.Batch) {
		for i := range m.Messages {
			m.Messages[i].Due = flowtest.Start.Add(time.Duration(i) * 50 * time.Millisecond).UnixMilli()
		}
	}))
	require.Equal(t, 300, res.Status.Counts[message.Sent])
	require.Greater(t, len(*heard), 10)
	require.Equal(t, 1, b.Notifies)
	for i := 1; i < len(*heard)-1; i++ {
		require.GreaterOrEqual(t, (*heard)[i].Sub((*heard)[i-1]), time.Second)
	}
	require.False(t, (*heard)[len(*heard)-1].Before(*res.Status.FinishedAt), "the last signal tells of the end")
}

func TestABatchEndsAlsoWhenNobodyHearsIt(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	b.Env.RegisterWorkflowWithOptions(func(workflow.Context, contract.NotifyInput) error { return nil },
		workflow.RegisterOptions{Name: contract.NotifyName})
	res := b.Run(flowtest.Batch(3, flowtest.WithCallbacks))
	require.Equal(t, message.BatchCompleted, res.Status.State)
}

func TestABatchTellsItsNotifyThatItIsHeld(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	heard := b.Hears()
	over := flowtest.Start.Add(time.Hour)
	b.Send = func(contract.SendInput, int) flowtest.Answer {
		if b.Env.Now().Before(over) {
			return byHand
		}
		return flowtest.Takes
	}
	b.Await = func(contract.AwaitReleaseInput, int) contract.AwaitReleaseResult {
		return contract.AwaitReleaseResult{Released: !b.Env.Now().Before(over)}
	}
	b.At(time.Minute, func() {
		require.Len(t, *heard, 2, "that it began, and that it is held")
	})
	b.Run(flowtest.Batch(3, flowtest.WithCallbacks))
}

func TestABatchWithoutCallbacksHasNoNotify(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	heard := b.Hears()
	b.Run(flowtest.Batch(3))
	require.Empty(t, *heard)
	require.Zero(t, b.Notifies)
}

func TestARunThatGoesOnStartsNoSecondNotify(t *testing.T) {
	t.Parallel()
	b := flowtest.NewBench(t)
	heard := b.Hears()
	in := flowtest.Batch(2, flowtest.WithCallbacks)
	in.State = &contract.State{Rev: 4, Records: []message.Record{
		{State: message.Scheduled, Due: flowtest.Start.UnixMilli(), Next: flowtest.Start.UnixMilli(), Expires: flowtest.Start.Add(time.Hour).UnixMilli()},
		{State: message.Scheduled, Due: flowtest.Start.UnixMilli(), Next: flowtest.Start.UnixMilli(), Expires: flowtest.Start.Add(time.Hour).UnixMilli()},
	}}
	b.Run(in)
	require.Zero(t, b.Notifies)
	require.NotEmpty(t, *heard)
}
