package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows/contract"
)

// progress runs the segment under a batch, and returns what that hears of it.
func (b *segmentBench) progress(in contract.SegmentInput) (heard []contract.Progress, at []time.Time) {
	b.T.Helper()
	b.Env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in contract.SegmentInput) (res contract.SegmentResult, err error) {
		child := workflow.ExecuteChildWorkflow(ctx, contract.SendSegmentName, in)
		workflow.Go(ctx, func(ctx workflow.Context) {
			for {
				var g contract.Progress
				workflow.GetSignalChannel(ctx, contract.SignalProgress).Receive(ctx, &g)
				heard, at = append(heard, g), append(at, workflow.Now(ctx))
			}
		})
		err = child.Get(ctx, &res)
		return res, err
	}, workflow.RegisterOptions{Name: "parent"})
	b.Env.ExecuteWorkflow("parent", in)
	require.True(b.T, b.Env.IsWorkflowCompleted())
	return heard, at
}

// Some messages wait for an hour: the segment waits with them, and tells its batch at
// once that the next one may begin.
func TestASegmentKeepsWhatWaitsLong(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		t.Run(dispatch, func(t *testing.T) {
			t.Parallel()
			b := newSegmentBench(t, 100)
			down := func(index int) bool { return index%10 == 0 && b.Env.Now().Before(flowtest.Start.Add(time.Hour)) }
			b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
				if down(in.Index) {
					return flowtest.Unavailable
				}
				return flowtest.Takes
			}
			b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
				out := b.all(in, contract.KindSent)
				for k, p := range in.Positions() {
					if down(2000 + p) {
						out[k] = contract.SendResult{Kind: "unavailable"}
					}
				}
				return out, nil
			}
			heard, at := b.progress(flowtest.SegmentInput(dispatch))
			require.Len(t, heard, 1)
			require.True(t, heard[0].FirstMade)
			require.Equal(t, 3, heard[0].Number)
			require.Equal(t, message.Counts{message.Sent: 90, message.Retrying: 10}, heard[0].Counts)
			require.Less(t, at[0].Sub(flowtest.Start), 2*time.Second)
			var res contract.SegmentResult
			require.NoError(t, b.Env.GetWorkflowResult(&res))
			require.Equal(t, 100, res.Counts[message.Sent])
			require.Len(t, b.kept, 1)
			require.Greater(t, b.kept[0].Records[10].Attempts, 3)
			require.Less(t, b.Env.Now().Sub(flowtest.Start), 80*time.Minute)
		})
	}
}

// What waits for an account to be released keeps the next segment from nothing, if that
// has messages for other accounts.
func TestAHeldAccountKeepsNoOtherFromBeginning(t *testing.T) {
	t.Parallel()
	everything := byHand
	everything.Held.Account, everything.Held.Key = false, "all"
	for name, c := range map[string]struct {
		two  bool // there is another account
		held flowtest.Answer
		both bool // the hold is of both
		told bool
	}{
		"one of two accounts":   {two: true, held: byHand, told: true},
		"one that holds itself": {two: true, held: byItself, told: true},
		"the only account":      {held: byHand},
		"everything":            {two: true, held: everything, both: true},
		"more than an account":  {two: true, held: everything},
	} {
		for _, dispatch := range []string{"message", "group"} {
			t.Run(name+" "+dispatch, func(t *testing.T) {
				t.Parallel()
				b := newSegmentBench(t, 100)
				b.two = c.two
				over := flowtest.Start.Add(time.Hour)
				held := func(account string) bool {
					return (account == "one" || c.both) && b.Env.Now().Before(over)
				}
				b.Send = func(in contract.SendInput, _ int) flowtest.Answer {
					if held(in.Account) {
						return c.held
					}
					return flowtest.Takes
				}
				b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
					out := b.all(in, contract.KindSent)
					for k := range out {
						if held(in.Account) {
							out[k] = contract.SendResult{Kind: c.held.Kind, Code: c.held.Code, Held: c.held.Held, At: b.Env.Now().UnixMilli()}
						}
					}
					return out, nil
				}
				// A child's activity cannot be completed later, as the bench does.
				b.Env.OnActivity(contract.AwaitReleaseName, mock.Anything, mock.Anything).After(90 * time.Second).Return(
					func(context.Context, contract.AwaitReleaseInput) (contract.AwaitReleaseResult, error) {
						return contract.AwaitReleaseResult{V: 1, Released: !b.Env.Now().Before(over)}, nil
					})
				heard, at := b.progress(flowtest.SegmentInput(dispatch))
				var res contract.SegmentResult
				require.NoError(t, b.Env.GetWorkflowResult(&res))
				require.Equal(t, message.Counts{message.Sent: 100}, res.Counts)
				require.NotEmpty(t, heard)
				require.True(t, heard[0].Held)
				require.False(t, heard[0].FirstMade)
				if !c.told {
					require.Len(t, heard, 1, "nothing could begin that leaves now")
					return
				}
				require.Len(t, heard, 2)
				require.True(t, heard[1].FirstMade)
				require.Equal(t, message.Counts{message.Sent: 50, message.Accepted: 50}, heard[1].Counts)
				require.Less(t, at[1].Sub(flowtest.Start), 2*time.Second)
			})
		}
	}
}

// What a provider turns away for a while is tried again as soon as that has passed,
// however short its validity.
func TestAMessageOfASegmentIsTriedAgainWhileItIsValid(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		for _, after := range []time.Duration{time.Minute, 570 * time.Second} {
			t.Run(dispatch+" "+after.String(), func(t *testing.T) {
				t.Parallel()
				b := newSegmentBench(t, 100)
				for i := range b.lines {
					b.lines[i].TTL = (10 * time.Minute).Milliseconds()
				}
				b.Send = func(in contract.SendInput, n int) flowtest.Answer {
					if in.Index == 2004 && n == 1 && dispatch == "message" {
						return flowtest.Answer{Kind: "throttled", Code: "http_429", After: after}
					}
					return flowtest.Takes
				}
				b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
					out := b.all(in, contract.KindSent)
					out[4] = contract.SendResult{Kind: "throttled", Code: "http_429", RetryAfter: after.Milliseconds(), At: b.Env.Now().UnixMilli()}
					return out, nil
				}
				res, l := b.run(flowtest.SegmentInput(dispatch))
				require.Equal(t, 100, res.Counts[message.Sent])
				require.Equal(t, 2, l.Records[4].Attempts)
				last := b.Attempts[len(b.Attempts)-1]
				require.Equal(t, 2004, last.Index)
				require.WithinRange(t, last.At, flowtest.Start.Add(after), flowtest.Start.Add(after+time.Second))
			})
		}
	}
}
