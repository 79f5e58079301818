package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/workflows"
)

// segmentBench is a bench around one segment, whose store and groups are scripted.
type segmentBench struct {
	*bench
	lines  message.Lines
	found  func(n int) bool
	loads  int
	kept   []message.Ledger
	groups []activities.GroupInput
	group  func(in activities.GroupInput, n int) (activities.Outcomes, error)
	policy message.Policy
	awaits time.Duration // for reports; then there is a second hop
}

func newSegmentBench(t *testing.T, n int) *segmentBench {
	b := &segmentBench{bench: newBench(t), lines: make(message.Lines, n), found: func(int) bool { return true }}
	for i := range b.lines {
		b.lines[i] = message.Line{
			Spot: message.Spot{Segment: 3, Pos: i}, Index: 2000 + i, Due: start.UnixMilli(), TTL: message.DefaultTTL.Milliseconds(),
		}
	}
	b.group = func(in activities.GroupInput, _ int) (activities.Outcomes, error) {
		return b.all(in, activities.KindSent), nil
	}
	b.env.RegisterWorkflowWithOptions(workflows.SendSegment, workflow.RegisterOptions{Name: workflows.SendSegmentName})
	b.env.RegisterActivityWithOptions(b.onLoad, activity.RegisterOptions{Name: workflows.LoadName})
	b.env.RegisterActivityWithOptions(b.onKeep, activity.RegisterOptions{Name: workflows.KeepName})
	b.env.RegisterActivityWithOptions(b.onGroup, activity.RegisterOptions{Name: workflows.GroupName})
	return b
}

// all are outcomes of one kind for a whole group.
func (b *segmentBench) all(in activities.GroupInput, kind string) activities.Outcomes {
	out := make(activities.Outcomes, len(in.Positions()))
	for k, p := range in.Positions() {
		out[k] = activities.SendResult{V: 1, Kind: kind, At: b.env.Now().UnixMilli()}
		if kind == activities.KindSent {
			out[k].ProviderID = fmt.Sprintf("g-%d", p)
		}
	}
	return out
}

func (b *segmentBench) onLoad(_ context.Context, in activities.LoadInput) (activities.LoadResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loads++
	res := activities.LoadResult{V: 1, Found: b.found(b.loads), Lines: b.lines, Batch: batch(0).Batch}
	if b.policy.Provider != "" {
		res.Batch.Policies["one"] = b.policy
	}
	if b.awaits > 0 {
		res.Batch.AwaitReports = b.awaits.Milliseconds()
		res.Batch.Hops = [][]message.Hop{{{Account: "one"}, {Account: "two"}}}
		res.Batch.Policies["two"] = res.Batch.Policies["one"]
	}
	if in.Sources[0].Left {
		l := message.Ledger{V: 1, Records: make([]message.Record, len(b.lines))}
		for i := range l.Records {
			l.Records[i] = message.Record{
				State: message.Retrying, Attempts: 5, HopAttempts: 5, Due: b.lines[i].Due, Expires: b.lines[i].Due + b.lines[i].TTL,
				Next: start.Add(time.Minute).UnixMilli(),
			}
		}
		res.Records = &l
	}
	return res, nil
}

func (b *segmentBench) onKeep(_ context.Context, in activities.KeepInput) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, err := json.Marshal(in)
	require.NoError(b.t, err)
	require.Less(b.t, len(raw), 256<<10)
	b.kept = append(b.kept, in.Ledger)
	return nil
}

func (b *segmentBench) onGroup(_ context.Context, in activities.GroupInput) (activities.GroupResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups = append(b.groups, in)
	out, err := b.group(in, len(b.groups))
	return activities.GroupResult{V: 1, Outcomes: out}, err
}

func segmentInput(dispatch string) workflows.SegmentInput {
	return workflows.SegmentInput{
		V: 1, Dir: "default/2026-11-20/b~00000000", Number: 3, Sources: []activities.Source{{Segment: 3}},
		ID: "b", Tenant: "default", Dialect: "volley", Dispatch: dispatch, Expires: start.Add(36 * time.Hour).UnixMilli(),
	}
}

// run runs the segment and returns its result and the ledger that it kept last.
func (b *segmentBench) run(in workflows.SegmentInput) (workflows.SegmentResult, message.Ledger) {
	b.t.Helper()
	b.env.ExecuteWorkflow(workflows.SendSegmentName, in)
	require.True(b.t, b.env.IsWorkflowCompleted())
	require.NoError(b.t, b.env.GetWorkflowError())
	var res workflows.SegmentResult
	require.NoError(b.t, b.env.GetWorkflowResult(&res))
	if res.Lost {
		return res, message.Ledger{}
	}
	require.Equal(b.t, len(b.lines), res.Counts.Total())
	require.Equal(b.t, res.Left, res.Counts.Open())
	require.NotEmpty(b.t, b.kept)
	l := b.kept[len(b.kept)-1]
	require.Len(b.t, l.Records, len(b.lines))
	var counts message.Counts
	for i := range l.Records {
		counts[l.Records[i].State]++
	}
	require.Equal(b.t, res.Counts, counts)
	return res, l
}

func TestASegmentSendsFromTheStoreOneByOne(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 50)
	b.lines[7].Code, b.lines[7].Detail = "required", "messages[2007].to: is required"
	b.send = func(in activities.SendInput, n int) answer {
		require.Empty(t, in.Message.To)
		require.Nil(t, in.Template.Body)
		require.Equal(t, &activities.Stored{Dir: "default/2026-11-20/b~00000000", Segment: 3, Pos: in.Index - 2000}, in.Stored)
		if in.Index == 2003 && n < 3 {
			return throttled
		}
		return takes
	}
	b.at(500*time.Millisecond, func() {
		v, err := b.env.QueryWorkflow(workflows.QueryMessages, message.PageQuery{Limit: 5})
		require.NoError(t, err)
		var page message.Page
		require.NoError(t, v.Get(&page))
		require.Equal(t, message.KeyOf("batch-b").MessageID(2004), page.Messages[4].ID)
		require.Equal(t, 2004, page.Messages[4].Index)
		_, err = b.env.QueryWorkflow(workflows.QueryMessage, message.KeyOf("batch-b").MessageID(2003))
		require.NoError(t, err)
		_, err = b.env.QueryWorkflow(workflows.QueryMessage, message.KeyOf("batch-b").MessageID(3))
		require.Error(t, err)
	})
	res, l := b.run(segmentInput("message"))
	require.Equal(t, 49, res.Counts[message.Sent])
	require.Equal(t, 1, res.Counts[message.Rejected])
	require.Equal(t, "required", l.Records[7].Code)
	require.Equal(t, 3, l.Records[3].Attempts)
	require.Nil(t, l.Spots)
	require.Empty(t, b.groups)
}

func TestAGroupSendsAndWhatItDoesNotSendGoesOnOneByOne(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 1000)
	b.group = func(in activities.GroupInput, _ int) (activities.Outcomes, error) {
		out := b.all(in, activities.KindSent)
		require.Len(t, out, 500)
		if in.Spans[0][0] == 0 {
			out[1] = activities.SendResult{Kind: "throttled", At: 5}
			out[2] = activities.SendResult{Kind: "rejected", Code: "http_404"}
			out[3] = activities.SendResult{Kind: "ambiguous", Code: "http_502"}
			out[4] = activities.SendResult{Kind: activities.KindExpired}
		}
		return out, nil
	}
	b.ask = func(activities.ReconcileInput, int) activities.ReconcileResult {
		return activities.ReconcileResult{Verdict: activities.VerdictFound, ProviderID: "found"}
	}
	b.policy = message.Policy{Provider: "webhook", Reconciles: true, Settle: 5000, Group: 500}
	res, l := b.run(segmentInput("group"))
	require.Len(t, b.groups, 2)
	require.ElementsMatch(t, [][][2]int{{{0, 500}}, {{500, 1000}}}, [][][2]int{b.groups[0].Spans, b.groups[1].Spans})
	require.Equal(t, 998, res.Counts[message.Sent])
	require.Equal(t, message.Failed, l.Records[2].State)
	require.Equal(t, message.Expired, l.Records[4].State)
	require.Equal(t, 2, l.Records[1].Attempts)
	require.Equal(t, "g-0", l.Records[0].ProviderID)
	require.Equal(t, "found", l.Records[3].ProviderID)
	require.Len(t, b.attempts, 1, "only what was throttled is sent alone")
}

// What is left waits for an hour: the segment does not wait with it, and what took
// over does.
func TestASegmentLeavesWhatWaitsLong(t *testing.T) {
	t.Parallel()
	for _, dispatch := range []string{"message", "group"} {
		t.Run(dispatch, func(t *testing.T) {
			t.Parallel()
			b := newSegmentBench(t, 100)
			down := func(index int) bool { return index%10 == 0 }
			b.send = func(in activities.SendInput, _ int) answer {
				if down(in.Index) {
					return unavailable
				}
				return takes
			}
			b.group = func(in activities.GroupInput, _ int) (activities.Outcomes, error) {
				out := b.all(in, activities.KindSent)
				for k, p := range in.Positions() {
					if down(2000 + p) {
						out[k] = activities.SendResult{Kind: "unavailable"}
					}
				}
				return out, nil
			}
			res, l := b.run(segmentInput(dispatch))
			require.Equal(t, 10, res.Left)
			require.Equal(t, 10, res.Counts[message.Retrying])
			require.Less(t, b.env.Now().Sub(start), 5*time.Minute)
			require.Positive(t, l.Records[10].Next)

			again := newSegmentBench(t, 10)
			in := segmentInput("message")
			in.Number, in.Sources = 1001, []activities.Source{{Segment: 3, Left: true}}
			again.send = func(activities.SendInput, int) answer {
				if again.env.Now().Before(start.Add(time.Hour)) {
					return unavailable
				}
				return takes
			}
			res, l = again.run(in)
			require.Equal(t, 10, res.Counts[message.Sent])
			require.Len(t, l.Spots, 10)
			require.Equal(t, message.Spot{Segment: 3, Pos: 9}, l.Spots[9])
		})
	}
}

func TestASegmentThatTheStoreLacksIsLost(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 3)
	b.found = func(int) bool { return false }
	res, _ := b.run(segmentInput("message"))
	require.True(t, res.Lost)
	require.Empty(t, b.attempts)

	late := newSegmentBench(t, 3)
	late.found = func(n int) bool { return n > 2 }
	res, _ = late.run(segmentInput("message"))
	require.Equal(t, 3, res.Counts[message.Sent])
}

func TestWhatWasAskedBeforeASegmentBegan(t *testing.T) {
	t.Parallel()
	t.Run("single messages are canceled", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := segmentInput("group")
		in.Canceled, in.Reasons = []int{2004, 1}, []string{"wrong number", "elsewhere"}
		res, l := b.run(in)
		require.Equal(t, 1, res.Counts[message.Canceled])
		require.Equal(t, "wrong number", l.Records[4].Detail)
		require.Equal(t, [][2]int{{0, 4}, {5, 10}}, b.groups[0].Spans)
	})
	t.Run("all are due at another time", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := segmentInput("group")
		in.Due = start.Add(time.Hour).UnixMilli()
		res, l := b.run(in)
		require.Equal(t, 10, res.Counts[message.Sent])
		require.Equal(t, in.Due, b.groups[0].Due)
		require.Equal(t, in.Due+message.DefaultTTL.Milliseconds(), l.Records[0].Expires)
		require.False(t, b.env.Now().Before(start.Add(time.Hour)))
	})
	t.Run("it is paused until it may go on", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := segmentInput("message")
		in.Paused = true
		b.at(time.Hour, func() {
			require.Empty(t, b.attempts)
			b.env.SignalWorkflow("order", workflows.Order{Resume: true})
		})
		res, _ := b.run(in)
		require.Equal(t, 10, res.Counts[message.Sent])
	})
	t.Run("all is canceled", func(t *testing.T) {
		t.Parallel()
		b := newSegmentBench(t, 10)
		in := segmentInput("message")
		in.Cancel = &message.CancelRequest{Reason: "enough"}
		res, l := b.run(in)
		require.Equal(t, 10, res.Counts[message.Canceled])
		require.Equal(t, "enough", l.Records[3].Detail)
		require.Empty(t, b.attempts)
	})
}

func TestOrdersReachARunningSegment(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	for i := range b.lines {
		b.lines[i].Due = start.Add(time.Hour).UnixMilli()
	}
	order := func(o workflows.Order) func() { return func() { b.env.SignalWorkflow("order", o) } }
	b.at(time.Minute, order(workflows.Order{Token: 1, Cancel: &message.CancelRequest{Reason: "one", Messages: []string{message.KeyOf("batch-b").MessageID(2002)}}}))
	b.at(2*time.Minute, order(workflows.Order{Token: 2, Reschedule: &message.RescheduleRequest{SendAfter: start.Add(2 * time.Hour).Format(time.RFC3339)}}))
	b.at(3*time.Minute, order(workflows.Order{Token: 3, Pause: true}))
	b.at(3*time.Hour, order(workflows.Order{Token: 4, Resume: true}))
	b.at(3*time.Hour-time.Second, func() { require.Empty(t, b.attempts) })
	res, l := b.run(segmentInput("message"))
	require.Equal(t, 9, res.Counts[message.Sent])
	require.Equal(t, "one", l.Records[2].Detail)
	require.Equal(t, start.Add(2*time.Hour).UnixMilli(), l.Records[1].Due)
}

// A group whose worker died: its last heartbeat tells what is known.
func TestALostGroupSendsNothingAgain(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	var asked []int
	b.ask = func(in activities.ReconcileInput, _ int) activities.ReconcileResult {
		asked = append(asked, in.Send.Index)
		require.GreaterOrEqual(t, b.env.Now().Sub(start), 15*time.Second, "requests of the lost group may still be under way")
		if in.Send.Index == 2004 {
			return activities.ReconcileResult{Verdict: activities.VerdictAbsent}
		}
		return activities.ReconcileResult{Verdict: activities.VerdictFound, ProviderID: "found"}
	}
	b.group = func(in activities.GroupInput, n int) (activities.Outcomes, error) {
		if n > 1 {
			return b.all(in, activities.KindSent), nil
		}
		known := b.all(in, activities.KindSent)
		for k := 3; k < 10; k++ {
			known[k] = activities.SendResult{}
		}
		return nil, lostGroup(activities.GroupProgress{V: 1, Watermark: 6, Outcomes: known})
	}
	res, l := b.run(segmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Sent])
	require.ElementsMatch(t, []int{2003, 2004, 2005}, asked)
	require.Equal(t, "g-2", l.Records[2].ProviderID)
	require.Equal(t, "found", l.Records[3].ProviderID)
	require.Len(t, b.groups, 2)
	require.Equal(t, [][2]int{{6, 10}}, b.groups[1].Spans)
	require.Len(t, b.attempts, 1)
	require.Equal(t, 2004, b.attempts[0].index)
}

func TestAGroupThatFailsWithoutAWordLeavesAllInDoubt(t *testing.T) {
	t.Parallel()
	b := newSegmentBench(t, 10)
	b.group = func(activities.GroupInput, int) (activities.Outcomes, error) { return nil, errors.New("panic") }
	b.ask = func(activities.ReconcileInput, int) activities.ReconcileResult {
		return activities.ReconcileResult{Verdict: activities.VerdictCannotTell}
	}
	res, _ := b.run(segmentInput("group"))
	require.Equal(t, 10, res.Counts[message.Unknown])
}

func lostGroup(p activities.GroupProgress) error { return temporal.NewHeartbeatTimeoutError(p) }
