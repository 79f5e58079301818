package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// waits has a segment of which message 2004 waits for an hour.
func waits(t *testing.T) *segmentBench {
	b := newSegmentBench(t, 10)
	b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
		if in.Index == 2004 {
			return flowtest.Answer{Kind: "throttled", After: time.Hour}
		}
		return flowtest.Takes
	}
	return b
}

func TestACancelThatComesTogetherWithTheLedgersEndIsAnswered(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	var got message.CancelResult
	b.Env.OnActivity(contract.KeepName, mock.Anything, mock.Anything).Return(func(ctx context.Context, in contract.KeepInput) error {
		flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: []string{"2004"}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			got = r
		})
		return b.onKeep(ctx, in)
	})
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, []string{message.KeyOf("batch-b").MessageID(2004)}, got.Sent)
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Equal(t, message.Sent, l.Records[4].State)
}

// A run goes on after another whose segment the store has lost since: what was sent
// is not failed.
func TestASegmentThatIsLostBetweenTwoRunsKeepsItsEnds(t *testing.T) {
	t.Parallel()
	first := waits(t)
	first.lines[5].Due += 60_000
	first.At(5*time.Second, func() { first.Env.SetCurrentHistoryLength(9_000) })
	first.At(6*time.Second, func() { first.Env.SignalWorkflow(contract.ControlResume, nil) })
	first.Env.ExecuteWorkflow(contract.SendSegmentName, flowtest.SegmentInput("message"))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, first.Env.GetWorkflowError(), &again)
	var in contract.SegmentInput
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

// That a store does not answer in time says nothing of what is in it.
func TestASegmentThatCannotBeReadIsNotLost(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 3)
	loads := 0
	b.Env.OnActivity(contract.LoadName, mock.Anything, mock.Anything).Return(func(context.Context, contract.LoadInput) (contract.LoadResult, error) {
		loads++
		return contract.LoadResult{}, errors.New("context deadline exceeded")
	})
	in := flowtest.SegmentInput("message")
	in.Expires = flowtest.Start.Add(20 * time.Minute).UnixMilli()
	b.Env.ExecuteWorkflow(contract.SendSegmentName, in)
	var res contract.SegmentResult
	require.NoError(t, b.Env.GetWorkflowResult(&res))
	require.Equal(t, contract.SegmentResult{V: 1, Unread: true}, res)
	require.Greater(t, loads, 5)
}

func TestWhatAStoreCannotReadExpires(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 2)
	b.Env.OnActivity(contract.LoadName, mock.Anything, mock.Anything).Return(contract.LoadResult{}, errors.New("connection refused"))
	in := flowtest.SegmentInput("message")
	in.Expires = flowtest.Start.Add(20 * time.Minute).UnixMilli()
	in.State = &contract.State{Ledger: message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sent}, {State: message.Retrying, Attempts: 1, Expires: in.Expires},
	}}}
	res, l := b.run(in)
	require.Equal(t, 1, res.Counts[message.Expired])
	require.Equal(t, "expired", l.Records[1].Code)
}

// A full store does not hold a segment for ever, and its batch knows why it does at all.
func TestALedgerThatIsNotTakenIsAFault(t *testing.T) {
	t.Parallel()
	for _, until := range []time.Duration{2 * time.Minute, 48 * time.Hour} {
		b := newSegmentBench(t, 2)
		full := func() error {
			if b.Env.Now().Before(flowtest.Start.Add(until)) {
				return errors.New("the bucket is full")
			}
			return nil
		}
		b.Env.OnActivity(contract.KeepName, mock.Anything, mock.Anything).Return(func(ctx context.Context, in contract.KeepInput) error {
			if err := full(); err != nil {
				return err
			}
			return b.onKeep(ctx, in)
		})
		heard, _ := b.progress(flowtest.SegmentInput("message"))
		var faults []string
		for _, g := range heard {
			require.Equal(t, message.Counts{message.Sent: 2}, g.Counts)
			faults = append(faults, g.Fault)
		}
		require.Equal(t, []string{"the store does not take the ledger of segment 3: the bucket is full"}, faults)
		if until > time.Hour { // the test environment tries ten times only
			require.ErrorContains(t, b.Env.GetWorkflowError(), "does not take the ledger: the bucket is full")
			continue
		}
		require.NoError(t, b.Env.GetWorkflowError())
		require.Len(t, b.kept, 1)
	}
}

// A store that is away for ten minutes is not asked every second.
func TestGroupsThatDoNothingWaitLongerAndLonger(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
		if b.Env.Now().Before(flowtest.Start.Add(10 * time.Minute)) {
			return b.all(in, contract.KindNotStarted), nil
		}
		return b.all(in, contract.KindSent), nil
	}
	res, _ := b.run(flowtest.SegmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Less(t, len(b.groups), 40)
	require.WithinDuration(t, flowtest.Start.Add(10*time.Minute), b.Env.Now(), time.Minute)
}
