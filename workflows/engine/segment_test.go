package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/flowtest"
	"volley/internal/message"
	"volley/workflows"
	"volley/workflows/contract"
)

// segmentBench is a bench around one segment, whose store and groups are scripted.
type segmentBench struct {
	*flowtest.Bench
	lines  message.MessageMetas
	named  message.Cancellations
	found  func(n int) bool
	loads  int
	kept   []message.Ledger
	groups []contract.GroupInput
	group  func(in contract.GroupInput, n int) (contract.Outcomes, error)
	policy message.Policy
	awaits time.Duration // for reports; then there is a second hop
	two    bool          // every second message goes through the account two, the others through one
}

func newSegmentBench(t *testing.T, n int) *segmentBench {
	b := &segmentBench{Bench: flowtest.NewBench(t), lines: make(message.MessageMetas, n), found: func(int) bool { return true }}
	for i := range b.lines {
		b.lines[i] = message.MessageMeta{
			Index: 2000 + i, Due: flowtest.Start.UnixMilli(), TTL: message.DefaultTTL.Milliseconds(),
		}
	}
	b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
		return b.all(in, contract.KindSent), nil
	}
	b.Env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: contract.SendSegmentName})
	b.Env.RegisterActivityWithOptions(b.onLoad, activity.RegisterOptions{Name: contract.LoadName})
	b.Env.RegisterActivityWithOptions(b.onKeep, activity.RegisterOptions{Name: contract.KeepName})
	b.Env.RegisterActivityWithOptions(b.onGroup, activity.RegisterOptions{Name: contract.GroupName})
	return b
}

// all are outcomes of one kind for a whole group.
func (b *segmentBench) all(in contract.GroupInput, kind string) contract.Outcomes {
	out := make(contract.Outcomes, len(in.Positions()))
	for k, p := range in.Positions() {
		out[k] = contract.SendResult{V: 1, Kind: kind, At: b.Env.Now().UnixMilli()}
		if kind == contract.KindSent {
			out[k].ProviderID = fmt.Sprintf("g-%d", p)
		}
	}
	return out
}

func (b *segmentBench) onLoad(_ context.Context, in contract.LoadInput) (contract.LoadResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	require.Equal(b.T, contract.LoadInput{V: 1, Dir: "default/2026-11-20/b~00000000", Segment: 3}, in)
	b.loads++
	res := contract.LoadResult{V: 1, Found: b.found(b.loads), Lines: b.lines, Canceled: b.named, Batch: flowtest.Batch(0).Batch}
	if b.policy.Provider != "" {
		res.Batch.Policies["one"] = b.policy
	}
	if b.awaits > 0 {
		res.Batch.AwaitReports = b.awaits.Milliseconds()
		res.Batch.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}}
		res.Batch.Policies["two"] = res.Batch.Policies["one"]
	}
	if b.two {
		res.Batch.Hops = [][]message.Hop{{{Account: "one"}}, {{Account: "two"}}}
		res.Batch.Policies["two"] = res.Batch.Policies["one"]
		for i := range res.Lines {
			res.Lines[i].Route = i % 2
		}
	}
	return res, nil
}

func (b *segmentBench) onKeep(_ context.Context, in contract.KeepInput) error {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	raw, err := json.Marshal(in)
	require.NoError(b.T, err)
	require.Less(b.T, len(raw), 256<<10)
	b.kept = append(b.kept, in.Ledger)
	return nil
}

func (b *segmentBench) onGroup(_ context.Context, in contract.GroupInput) (contract.GroupResult, error) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	b.groups = append(b.groups, in)
	out, err := b.group(in, len(b.groups))
	return contract.GroupResult{V: 1, Outcomes: out}, err
}

// run runs the segment and returns its result and the ledger that it kept last.
func (b *segmentBench) run(in contract.SegmentInput) (contract.SegmentResult, message.Ledger) {
	b.T.Helper()
	b.Env.ExecuteWorkflow(contract.SendSegmentName, in)
	require.True(b.T, b.Env.IsWorkflowCompleted())
	require.NoError(b.T, b.Env.GetWorkflowError())
	var res contract.SegmentResult
	require.NoError(b.T, b.Env.GetWorkflowResult(&res))
	if res.Lost {
		return res, message.Ledger{}
	}
	require.Equal(b.T, len(b.lines), res.Counts.Total())
	require.Zero(b.T, res.Counts.Open())
	require.NotEmpty(b.T, b.kept)
	l := b.kept[len(b.kept)-1]
	require.Len(b.T, l.Records, len(b.lines))
	var counts message.Counts
	for i := range l.Records {
		counts[l.Records[i].State]++
	}
	require.Equal(b.T, res.Counts, counts)
	return res, l
}

func TestASegmentSendsFromTheStoreOneByOne(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 50)
	b.lines[7].Code, b.lines[7].Detail = "required", "messages[2007].to: is required"
	b.Send = func(in contract.SendInput, n int) flowtest.Answer {
		require.Empty(t, in.Message.To)
		require.Nil(t, in.Template.Body)
		require.Equal(t, &contract.Stored{Dir: "default/2026-11-20/b~00000000", Segment: 3, Pos: in.Index - 2000}, in.Stored)
		if in.Index == 2003 && n < 3 {
			return flowtest.Throttled
		}
		return flowtest.Takes
	}
	b.At(500*time.Millisecond, func() {
		v, err := b.Env.QueryWorkflow(contract.QueryMessages, message.PageQuery{Limit: 5})
		require.NoError(t, err)
		var page message.Page
		require.NoError(t, v.Get(&page))
		require.Equal(t, message.KeyOf("batch-b").MessageID(2004), page.Messages[4].ID)
		require.Equal(t, 2004, page.Messages[4].Index)
		_, err = b.Env.QueryWorkflow(contract.QueryMessage, message.KeyOf("batch-b").MessageID(2003))
		require.NoError(t, err)
		_, err = b.Env.QueryWorkflow(contract.QueryMessage, message.KeyOf("batch-b").MessageID(3))
		require.Error(t, err)
	})
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 49, res.Counts[message.Sent])
	require.Equal(t, 1, res.Counts[message.Rejected])
	require.Equal(t, "required", l.Records[7].Code)
	require.Equal(t, 3, l.Records[3].Attempts)
	require.Empty(t, b.groups)
}

func TestAGroupSendsAndWhatItDoesNotSendGoesOnOneByOne(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 1000)
	b.group = func(in contract.GroupInput, _ int) (contract.Outcomes, error) {
		out := b.all(in, contract.KindSent)
		require.Len(t, out, 500)
		if in.Spans[0][0] == 0 {
			out[1] = contract.SendResult{Kind: "throttled", At: 5}
			out[2] = contract.SendResult{Kind: "rejected", Code: "http_404"}
			out[3] = contract.SendResult{Kind: "ambiguous", Code: "http_502"}
			out[4] = contract.SendResult{Kind: contract.KindExpired}
		}
		return out, nil
	}
	b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
		return contract.ReconcileResult{Verdict: contract.VerdictFound, ProviderID: "found"}
	}
	b.policy = message.Policy{Provider: "webhook", Reconciles: true, Settle: 5000, Group: 500}
	res, l := b.run(flowtest.SegmentInput("group"))
	require.Len(t, b.groups, 2)
	require.ElementsMatch(t, [][][2]int{{{0, 500}}, {{500, 1000}}}, [][][2]int{b.groups[0].Spans, b.groups[1].Spans})
	require.Equal(t, 998, res.Counts[message.Sent])
	require.Equal(t, message.Failed, l.Records[2].State)
	require.Equal(t, message.Expired, l.Records[4].State)
	require.Equal(t, 2, l.Records[1].Attempts)
	require.Equal(t, "g-0", l.Records[0].ProviderID)
	require.Equal(t, "found", l.Records[3].ProviderID)
	require.Len(t, b.Attempts, 1, "only what was throttled is sent alone")
}

func TestASegmentThatTheStoreLacksIsLost(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 3)
	b.found = func(int) bool { return false }
	res, _ := b.run(flowtest.SegmentInput("message"))
	require.True(t, res.Lost)
	require.Empty(t, b.Attempts)

	late := newSegmentBench(t, 3)
	late.found = func(n int) bool { return n > 2 }
	res, _ = late.run(flowtest.SegmentInput("message"))
	require.Equal(t, 3, res.Counts[message.Sent])
}

func TestWhatWasAskedBeforeASegmentBegan(t *testing.T) {
	t.Parallel()
	t.Run("single messages are canceled", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		at := flowtest.Start.Add(-time.Minute).UnixMilli()
		b.named = message.Cancellations{{Index: 2004, At: at, Reason: "wrong number"}, {Index: 1, At: at, Reason: "elsewhere"}}
		res, l := b.run(flowtest.SegmentInput("group"))
		require.Equal(t, at, l.Records[4].Finished)
		require.Equal(t, message.EventCanceled, l.Records[4].Trail[0].Event)
		require.Equal(t, 1, res.Counts[message.Canceled])
		require.Equal(t, "wrong number", l.Records[4].Detail)
		require.Equal(t, [][2]int{{0, 4}, {5, 10}}, b.groups[0].Spans)
	})
	t.Run("all are due at another time", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := flowtest.SegmentInput("group")
		in.Due = flowtest.Start.Add(time.Hour).UnixMilli()
		res, l := b.run(in)
		require.Equal(t, 10, res.Counts[message.Sent])
		require.Equal(t, in.Due, b.groups[0].Due)
		require.Equal(t, in.Due+message.DefaultTTL.Milliseconds(), l.Records[0].Expires)
		require.False(t, b.Env.Now().Before(flowtest.Start.Add(time.Hour)))
	})
	t.Run("what was canceled before a reschedule keeps its due time", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 3)
		in := flowtest.SegmentInput("message")
		in.Due, in.DueAt = flowtest.Start.Add(time.Hour).UnixMilli(), flowtest.Start.Add(-time.Minute).UnixMilli()
		b.named = message.Cancellations{{Index: 2000, At: in.DueAt}, {Index: 2001, At: in.DueAt + 1}}
		_, l := b.run(in)
		require.Equal(t, b.lines[0].Due, l.Records[0].Due)
		require.Equal(t, in.Due, l.Records[1].Due)
	})
	t.Run("it is paused until it may go on", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := flowtest.SegmentInput("message")
		in.Paused = true
		b.At(time.Hour, func() {
			require.Empty(t, b.Attempts)
			b.Env.SignalWorkflow(contract.ControlResume, nil)
		})
		res, _ := b.run(in)
		require.Equal(t, 10, res.Counts[message.Sent])
	})
}

func TestASegmentIsControlledLikeABatch(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	for i := range b.lines {
		b.lines[i].Due = flowtest.Start.Add(time.Hour).UnixMilli()
	}
	b.At(time.Minute, func() {
		q := message.CancelRequest{Reason: "one", Messages: []string{message.KeyOf("batch-b").MessageID(2002)}}
		flowtest.Update(b.Bench, contract.ControlCancel, q, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, q.Messages, r.Canceled)
		})
		flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: []string{flowtest.ID(1)}}, func(_ message.CancelResult, err error) {
			require.ErrorContains(t, err, "no message")
		})
	})
	b.At(2*time.Minute, func() {
		q := message.RescheduleRequest{SendAfter: flowtest.Start.Add(2 * time.Hour).Format(time.RFC3339)}
		flowtest.Update(b.Bench, contract.ControlReschedule, q, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, 9, r.Rescheduled)
		})
	})
	b.At(3*time.Minute, func() { b.Env.SignalWorkflow(contract.ControlPause, nil) })
	b.At(3*time.Hour, func() { b.Env.SignalWorkflow(contract.ControlResume, nil) })
	b.At(3*time.Hour-time.Second, func() { require.Empty(t, b.Attempts) })
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 9, res.Counts[message.Sent])
	require.Equal(t, "one", l.Records[2].Detail)
	require.Equal(t, flowtest.Start.Add(2*time.Hour).UnixMilli(), l.Records[1].Due)
}

// What was long on its way counts no more than what it says: a control of an earlier round
// that comes after one of a later is not wanted any more.
func TestASegmentObeysTheLastRoundOfControls(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	for i := range b.lines {
		b.lines[i].Due = flowtest.Start.Add(time.Hour).UnixMilli()
	}
	answers := 0
	round := func(control string, n int, arg any) {
		flowtest.UpdateAs(b.Bench, control, contract.RoundID(control, n), arg, func(_ any, err error) { require.NoError(t, err); answers++ })
	}
	moved := func(d time.Duration) message.RescheduleRequest {
		return message.RescheduleRequest{SendAfter: flowtest.Start.Add(d).Format(time.RFC3339Nano)}
	}
	b.At(time.Minute, func() {
		round(contract.ControlReschedule, 3, moved(2*time.Hour))
		round(contract.ControlResume, 3, nil)
	})
	b.At(2*time.Minute, func() { round(contract.ControlPause, 2, nil); round(contract.ControlReschedule, 1, moved(3*time.Hour)) })
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Equal(t, 4, answers)
	require.Equal(t, flowtest.Start.Add(2*time.Hour).UnixMilli(), l.Records[0].Due)
}

// Controls that came while the segment was being read go on together, in any order.
func TestControlsThatWaitedForASegmentAreObeyedInTheirOrder(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.found = func(n int) bool { return n > 5 }
	answers := 0
	for n, control := range []string{contract.ControlPause, contract.ControlPause, contract.ControlResume} {
		b.At(time.Duration(n+1)*time.Second, func() {
			flowtest.UpdateAs(b.Bench, control, contract.RoundID(control, n+1), nil, func(_ any, err error) { require.NoError(t, err); answers++ })
		})
	}
	res, _ := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Equal(t, 3, answers)
}

// A batch that is moved to now has one time for all segments, whenever they hear of it.
func TestASegmentThatHearsLateOfAMoveKeepsItsTime(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 3)
	for i := range b.lines {
		b.lines[i].Due, b.lines[i].TTL = flowtest.Start.Add(time.Hour).UnixMilli(), (10 * time.Minute).Milliseconds()
	}
	at := flowtest.Start.Add(time.Minute)
	b.At(5*time.Minute, func() {
		q := message.RescheduleRequest{SendAfter: at.Format(time.RFC3339Nano)}
		flowtest.UpdateAs(b.Bench, contract.ControlReschedule, contract.RoundID(contract.ControlReschedule, 1), q, func(r message.RescheduleResult, err error) {
			require.NoError(t, err)
			require.Equal(t, 3, r.Rescheduled)
		})
	})
	res, l := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 3, res.Counts[message.Sent])
	require.Equal(t, at.UnixMilli(), l.Records[0].Due)
	require.Equal(t, at.Add(10*time.Minute).UnixMilli(), l.Records[0].Expires)
}

// Who asks while the segment is being read waits for that, and nothing leaves before.
func TestControlsWaitUntilASegmentIsRead(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.found = func(n int) bool { return n > 5 }
	answers := 0
	b.At(time.Second, func() {
		flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) { require.NoError(t, err); answers++ })
		flowtest.Update(b.Bench, contract.ControlCancel, message.CancelRequest{Messages: []string{"2003", "7"}}, func(r message.CancelResult, err error) {
			require.NoError(t, err)
			require.Equal(t, []string{message.KeyOf("batch-b").MessageID(2003)}, r.Canceled)
			answers++
		})
		b.Env.SignalWorkflow(contract.ControlCancel, message.CancelRequest{Messages: []string{"2004"}})
	})
	b.At(time.Minute, func() {
		require.Equal(t, 2, answers)
		require.Empty(t, b.Attempts)
		b.Env.SignalWorkflow(contract.ControlResume, nil)
	})
	res, _ := b.run(flowtest.SegmentInput("message"))
	require.Equal(t, 2, res.Counts[message.Canceled])
	require.Equal(t, 8, res.Counts[message.Sent])
}

func TestControlsOfASegmentThatIsLostAreRefused(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 3)
	b.found = func(int) bool { return false }
	var got error
	b.At(time.Second, func() {
		flowtest.Update(b.Bench, contract.ControlPause, nil, func(_ message.PauseResult, err error) { got = err })
	})
	res, _ := b.run(flowtest.SegmentInput("message"))
	require.True(t, res.Lost)
	require.ErrorContains(t, got, "cannot be read")
}

// What is canceled by name between two runs ends before anything is sent; what may have
// been sent is asked about, and not sent again.
func TestNamesInTheStoreCountWheneverMessagesAreRead(t *testing.T) {
	t.Parallel()
	at := flowtest.Start.Add(time.Second).UnixMilli()
	b := newSegmentBench(t, 4)
	for i := range b.lines {
		b.named = append(b.named, message.Cancellation{Index: 2000 + i, At: at, Reason: "enough"})
	}
	in := flowtest.SegmentInput("message")
	l := message.Ledger{V: 1, Records: make([]message.Record, 4)}
	for i := range l.Records {
		due := b.lines[i].Due
		l.Records[i] = message.Record{State: message.Accepted, Due: due, Expires: due + b.lines[i].TTL, Next: due}
	}
	l.Records[1] = message.Record{State: message.Sent, Attempts: 1, Due: b.lines[1].Due, Expires: l.Records[0].Expires, Finished: 5, Sent: 5}
	l.Records[2] = message.Record{State: message.Sending, Attempts: 1, HopAttempts: 1, Doubt: 1, Due: b.lines[2].Due, Expires: l.Records[0].Expires, Next: b.lines[2].Due, Began: 1}
	l.Records[3] = message.Record{State: message.Retrying, Attempts: 5, HopAttempts: 5, Due: b.lines[3].Due, Expires: l.Records[0].Expires, Next: b.lines[3].Due}
	in.State = &contract.State{Rev: 9, Ledger: l}
	b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
		return contract.ReconcileResult{Verdict: contract.VerdictAbsent}
	}
	res, kept := b.run(in)
	require.Empty(t, b.Attempts)
	require.Equal(t, 1, res.Counts[message.Sent])
	require.Equal(t, 3, res.Counts[message.Canceled])
	for _, i := range []int{0, 3} {
		require.Equal(t, message.Canceled, kept.Records[i].State)
		require.Equal(t, "enough", kept.Records[i].Detail)
		require.Equal(t, at, kept.Records[i].Finished)
	}
}

// A group whose worker died: its last heartbeat tells what is known.
func TestALostGroupSendsNothingAgain(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	var asked []int
	b.Ask = func(in contract.ReconcileInput, _ int) contract.ReconcileResult {
		asked = append(asked, in.Send.Index)
		require.GreaterOrEqual(t, b.Env.Now().Sub(flowtest.Start), 15*time.Second, "requests of the lost group may still be under way")
		if in.Send.Index == 2004 {
			return contract.ReconcileResult{Verdict: contract.VerdictAbsent}
		}
		return contract.ReconcileResult{Verdict: contract.VerdictFound, ProviderID: "found"}
	}
	b.group = func(in contract.GroupInput, n int) (contract.Outcomes, error) {
		if n > 1 {
			return b.all(in, contract.KindSent), nil
		}
		known := b.all(in, contract.KindSent)
		for k := 3; k < 10; k++ {
			known[k] = contract.SendResult{}
		}
		return nil, lostGroup(contract.GroupProgress{V: 1, Watermark: 6, Outcomes: known})
	}
	res, l := b.run(flowtest.SegmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.ElementsMatch(t, []int{2003, 2004, 2005}, asked)
	require.Equal(t, "g-2", l.Records[2].ProviderID)
	require.Equal(t, "found", l.Records[3].ProviderID)
	require.Len(t, b.groups, 2)
	require.Equal(t, [][2]int{{6, 10}}, b.groups[1].Spans)
	require.Len(t, b.Attempts, 1)
	require.Equal(t, 2004, b.Attempts[0].Index)
}

func TestAGroupThatFailsWithoutAWordLeavesAllInDoubt(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.group = func(contract.GroupInput, int) (contract.Outcomes, error) { return nil, errors.New("panic") }
	b.Ask = func(contract.ReconcileInput, int) contract.ReconcileResult {
		return contract.ReconcileResult{Verdict: contract.VerdictCannotTell}
	}
	res, _ := b.run(flowtest.SegmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Unknown])
}

// A worker without the key cannot read what it is asked to send: nothing has left.
func TestWhatAWorkerCannotDecodeHasNotBegun(t *testing.T) {
	t.Parallel()
	sealed := temporal.NewApplicationErrorWithCause("unable to decode", "wrapError", temporal.NewApplicationError("no key", contract.ErrUndecodedType))
	b := newSegmentBench(t, 10)
	b.group = func(in contract.GroupInput, n int) (contract.Outcomes, error) {
		if n == 1 {
			return nil, sealed
		}
		out := b.all(in, contract.KindSent)
		out[3].Kind = "throttled"
		return out, nil
	}
	tries := 0
	b.Env.OnActivity(contract.SendName, mock.Anything, mock.Anything).Return(func(ctx context.Context, in contract.SendInput) (contract.SendResult, error) {
		if tries++; tries == 1 {
			return contract.SendResult{}, sealed
		}
		return contract.SendResult{V: 1, Kind: contract.KindSent}, nil
	})
	res, l := b.run(flowtest.SegmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.Equal(t, 2, tries)
	require.Equal(t, 1, l.Records[2].Attempts)
	require.Equal(t, 2, l.Records[3].Attempts)
	require.GreaterOrEqual(t, b.Env.Now().Sub(flowtest.Start), 20*time.Second, "it is not asked again at once")
}

func lostGroup(p contract.GroupProgress) error { return temporal.NewHeartbeatTimeoutError(p) }
