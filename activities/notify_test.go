package activities_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"volley/activities"
	"volley/internal/callback"
	"volley/internal/message"
	"volley/workflows/contract"
)

// office is a batch that can be read, and an endpoint that hears of it.
type office struct {
	st    message.Status
	rows  []message.Row
	err   error
	asked int
	// accept says what the endpoint makes of the n-th request; nil accepts.
	accept func(n int, e callback.Event) *callback.Failure
	posts  []callback.Event
	// only are the types of events that are wanted; nil is all.
	only []string
	// onPage is called before a page is read.
	onPage func()
}

func (o *office) Status(context.Context, string, string) (message.Status, error) { return o.st, o.err }

func (o *office) Messages(_ context.Context, _, _ string, q message.PageQuery) (message.Page, error) {
	if o.onPage != nil {
		o.onPage()
	}
	return message.Pages(q, len(o.rows),
		func(i int) (message.State, int64) { return o.rows[i].State, o.rows[i].Rev },
		func(i int) message.Row { return o.rows[i] })
}

func (o *office) Asked(context.Context, string, string) (func(context.Context, int) (message.Template, message.Message, error), error) {
	o.asked++
	return func(_ context.Context, i int) (message.Template, message.Message, error) {
		return message.Template{Body: []byte(`{"app_id":"a"}`)}, message.Message{Reference: strconv.Itoa(i)}, nil
	}, nil
}

func (o *office) Wants(_, typ string) bool { return o.only == nil || slices.Contains(o.only, typ) }

func (o *office) Post(_ context.Context, tenant string, to message.Callbacks, e callback.Event) *callback.Failure {
	if tenant != "acme" || to.URL != "https://example.com" {
		panic("the event went elsewhere")
	}
	if o.accept != nil {
		if f := o.accept(len(o.posts), e); f != nil {
			return f
		}
	}
	o.posts = append(o.posts, e)
	return nil
}

// told are the types of the events that were accepted, and the messages in them.
func (o *office) told() (all []string) {
	for _, e := range o.posts {
		text := e.Type
		if e.Type == callback.TypeMessages {
			text += fmt.Sprint(len(e.Rows))
		} else if len(e.Rows) > 0 {
			text += fmt.Sprint(" ", e.Rows[0].Index)
		}
		all = append(all, text)
	}
	return all
}

func newOffice(state message.BatchState, rev int64, states ...message.State) *office {
	o := &office{st: message.Status{ID: "b", Tenant: "acme", State: state, Total: len(states), CreatedAt: noon, AsOf: noon, Rev: rev}}
	if state != message.BatchScheduled {
		o.st.StartedAt = &noon
	}
	for i, s := range states {
		// The last message changed first.
		o.rows = append(o.rows, message.Row{Index: i, State: s, Rev: int64(len(states) - i)})
	}
	return o
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func (o *office) input() contract.DeliverInput {
	return contract.DeliverInput{
		V: 1, ID: "b", Tenant: "acme", Total: o.st.Total,
		Callbacks: message.Callbacks{URL: "https://example.com", Format: message.CallbackVolley},
	}
}

// deliver runs the activity once.
func (o *office) deliver(t *testing.T, in contract.DeliverInput) contract.DeliverResult {
	t.Helper()
	res, err := o.try(in)
	require.NoError(t, err)
	return res
}

func (o *office) try(in contract.DeliverInput) (res contract.DeliverResult, err error) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	a := activities.New(activities.Options{Changes: o, Poster: o})
	env.RegisterActivity(a.Deliver)
	v, err := env.ExecuteActivity(a.Deliver, in)
	if err == nil {
		err = v.Get(&res)
	}
	return res, err
}

func TestEventsComeInTheOrderOfTheirChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 9, message.Sent, message.Failed, message.Rejected)
	res := o.deliver(t, o.input())
	require.Equal(t, []string{"batch.started", "message.rejected 2", "message.failed 1", "message.sent 0", "batch.completed"}, o.told())
	require.Equal(t, contract.DeliverResult{
		V: 1, Told: 5, Ended: true,
		Cursor: contract.Cursor{Rev: 9, Started: true, State: message.BatchCompleted, Told: 2},
	}, res)
}

func TestWhatWasToldIsNotToldAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 5, message.Sent, message.Sending)
	in := o.input()
	res := o.deliver(t, in)
	require.False(t, res.Ended)
	require.Equal(t, []string{"batch.started", "message.sent 0"}, o.told())

	o.posts, in.Cursor = nil, res.Cursor
	require.Equal(t, contract.DeliverResult{V: 1, Cursor: res.Cursor}, o.deliver(t, in))
	require.Empty(t, o.posts)

	o.rows[1].State, o.rows[1].Rev, o.st.State, o.st.Rev = message.Unknown, 6, message.BatchCompleted, 7
	in.Cursor = o.deliver(t, in).Cursor
	require.Equal(t, []string{"message.unknown 1", "batch.completed"}, o.told())

	// A report that comes after the end.
	o.posts, o.rows[0].State, o.rows[0].Rev, o.st.Rev = nil, message.Delivered, 8, 8
	res = o.deliver(t, in)
	require.True(t, res.Ended)
	require.Equal(t, []string{"message.delivered 0"}, o.told())
}

func TestAChangeDuringTheReadingIsLeftForTheNextTime(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 2, message.Sent, message.Sent)
	o.rows[0].Rev = 3 // after the status was read
	in := o.input()
	res := o.deliver(t, in)
	require.Equal(t, []string{"batch.started", "message.sent 1"}, o.told())
	require.EqualValues(t, 2, res.Cursor.Rev)
	o.st.Rev, in.Cursor = 3, res.Cursor
	o.deliver(t, in)
	require.Equal(t, []string{"batch.started", "message.sent 1", "message.sent 0"}, o.told())
}

func TestAFailureStopsAndTheSameEventsComeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 9, message.Sent, message.Sent)
	var refused []callback.Event
	o.accept = func(n int, e callback.Event) *callback.Failure {
		if n == 2 && len(refused) == 0 {
			refused = append(refused, e)
			return &callback.Failure{Code: "http_503", Detail: "the endpoint answered 503", RetryAfter: 3 * time.Second}
		}
		return nil
	}
	in := o.input()
	res := o.deliver(t, in)
	require.Equal(t, &contract.DeliverFailure{Code: "http_503", Detail: "the endpoint answered 503", RetryAfter: 3000}, res.Failure)
	require.Equal(t, 2, res.Told)
	require.EqualValues(t, 1, res.Cursor.Rev)
	in.Cursor = res.Cursor
	require.True(t, o.deliver(t, in).Ended)
	require.Equal(t, []string{"batch.started", "message.sent 1", "message.sent 0", "batch.completed"}, o.told())
	require.Equal(t, refused[0].ID, o.posts[2].ID)
}

func TestPausesAreToldToo(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 1)
	o.st.Total = 1
	in := o.input()
	for i, state := range []message.BatchState{
		message.BatchScheduled, message.BatchRunning, message.BatchPaused, message.BatchRunning, message.BatchCanceling, message.BatchCanceled,
	} {
		o.st.State, o.st.Rev = state, int64(i)
		in.Cursor = o.deliver(t, in).Cursor
	}
	require.Equal(t, []string{"batch.started", "batch.paused", "batch.resumed", "batch.canceling", "batch.canceled"}, o.told()[:5])
}

func TestAHoldIsToldOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 1)
	o.st.Total = 1
	in := o.input()
	in.Cursor = o.deliver(t, in).Cursor
	refuses := true
	var ids []string
	o.accept = func(_ int, e callback.Event) *callback.Failure {
		if e.Type == callback.TypeAccountHeld {
			ids = append(ids, e.ID)
			if refuses {
				return &callback.Failure{Code: callback.CodeTimeout}
			}
		}
		return nil
	}
	held := func(since time.Duration) {
		o.st.Held = &message.HoldView{By: message.HeldByAccount, Reason: "credentials", Since: noon.Add(since)}
		in.Cursor = o.deliver(t, in).Cursor
	}
	held(time.Minute)
	refuses = false
	held(time.Minute)
	require.Len(t, ids, 2)
	require.Equal(t, ids[0], ids[1], "what was not accepted comes again")
	held(time.Minute)
	held(-time.Hour) // an older one, which another part of the batch tells of
	o.st.Held = nil
	in.Cursor = o.deliver(t, in).Cursor
	held(time.Hour)
	o.st.State = message.BatchPaused
	o.st.Held = &message.HoldView{By: message.HeldByGuard, Since: noon.Add(2 * time.Hour)}
	in.Cursor = o.deliver(t, in).Cursor
	require.Equal(t, []string{"batch.started", "account.held", "account.held", "batch.held"}, o.told())
	require.Equal(t, "credentials", o.posts[1].Batch.Held.Reason)
	require.NotEqual(t, o.posts[1].ID, o.posts[2].ID)
}

func TestGivingUpTellsNothingAndCounts(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 9, message.Sent, message.Failed)
	in := o.input()
	in.GiveUp = true
	res := o.deliver(t, in)
	require.Empty(t, o.posts)
	require.Equal(t, 4, res.GivenUp)
	require.True(t, res.Ended)
	require.EqualValues(t, 9, res.Cursor.Rev)
}

func TestALargeBatchTellsOfItselfUnlessMessagesAreAskedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 5_000, slices.Repeat([]message.State{message.Sent}, 1_250)...)
	o.rows[3].State = message.Retrying // leaves no gap in the numbers
	in := o.input()
	o.deliver(t, in)
	require.Equal(t, []string{"batch.started", "batch.completed"}, o.told())

	o.posts, in.Callbacks.Messages = nil, true
	failures := 0
	o.accept = func(int, callback.Event) *callback.Failure {
		if failures++; failures%4 == 0 {
			return &callback.Failure{Code: "timeout"}
		}
		return nil
	}
	for ended := false; !ended; {
		res := o.deliver(t, in)
		in.Cursor, ended = res.Cursor, res.Ended
	}
	seen := map[int]bool{}
	for _, e := range o.posts {
		require.LessOrEqual(t, len(e.Rows), 100)
		for _, r := range e.Rows {
			require.False(t, seen[r.Index], "message %d was told twice", r.Index)
			seen[r.Index] = true
		}
	}
	require.Len(t, seen, 1_249)
	require.Equal(t, "batch.completed", o.posts[len(o.posts)-1].Type)
	require.Equal(t, contract.Cursor{Rev: 5_000, Started: true, State: message.BatchCompleted, Told: 2}, in.Cursor)
}

// The revs of a running large batch come from several clocks, so that its last
// seconds wait.
func TestTheLastSecondsOfARunningLargeBatchWait(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := newOffice(message.BatchRunning, now.UnixMilli()<<10, message.Sent, message.Sent)
	o.rows[0].Rev = now.Add(-time.Second).UnixMilli() << 10
	o.rows[1].Rev = now.Add(-5*time.Second).UnixMilli() << 10
	in := o.input()
	in.Total, in.Callbacks.Messages = 2_000, true
	res := o.deliver(t, in)
	require.Equal(t, []string{"batch.started", "messages1"}, o.told())
	require.True(t, res.Again)
	require.EqualValues(t, 10_000, res.After)
}

func TestADeliveryEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(message.BatchCompleted, 99, slices.Repeat([]message.State{message.Sent}, 50)...)
		o.accept = func(int, callback.Event) *callback.Failure {
			time.Sleep(time.Second)
			return nil
		}
		in := o.input()
		res := o.deliver(t, in)
		require.True(t, res.More)
		require.False(t, res.Ended)
		require.Equal(t, 21, res.Told)
		in.Cursor = res.Cursor
		require.True(t, o.deliver(t, in).More)
	})
}

func TestOtherFormatsRepeatTheRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 9, message.Sent, message.Failed)
	in := o.input()
	in.Callbacks.Format = message.CallbackBird
	o.deliver(t, in)
	require.Equal(t, []string{"message.failed 1", "message.sent 0"}, o.told(), "Bird's batches have no status")
	require.Equal(t, "1", o.posts[0].Request.Message.Reference)
	require.Equal(t, 1, o.asked, "the request is opened once")

	o.posts, in.Callbacks.Format = nil, message.CallbackSinch
	o.deliver(t, in)
	require.Equal(t, []string{"batch.started", "message.failed 1", "message.sent 0", "batch.completed"}, o.told())
	require.JSONEq(t, `{"app_id":"a"}`, string(o.posts[0].Request.Template.Body))
}

func TestADeliveryGoesOnWhereALostWorkerWas(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchCompleted, 9, message.Sent, message.Sent, message.Sent)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetHeartbeatDetails(contract.DeliverResult{V: 1, Told: 3, Cursor: contract.Cursor{Rev: 2, Started: true, State: message.BatchRunning, Told: 1}})
	var beats []contract.DeliverResult
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var r contract.DeliverResult
		if details.Get(&r) == nil {
			beats = append(beats, r)
		}
	})
	a := activities.New(activities.Options{Changes: o, Poster: o})
	env.RegisterActivity(a.Deliver)
	v, err := env.ExecuteActivity(a.Deliver, o.input())
	require.NoError(t, err)
	var res contract.DeliverResult
	require.NoError(t, v.Get(&res))
	require.Equal(t, []string{"message.sent 0", "batch.completed"}, o.told())
	require.Equal(t, 5, res.Told)
	require.NotEmpty(t, beats)
}

func TestABatchThatCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 1)
	o.err = errors.New("nobody answers")
	_, err := o.try(o.input())
	require.ErrorContains(t, err, "nobody answers")

	o.err = fmt.Errorf("deleted: %w", activities.ErrNoBatch)
	require.True(t, o.deliver(t, o.input()).Ended)

	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	a := activities.New(activities.Options{})
	env.RegisterActivity(a.Deliver)
	_, err = env.ExecuteActivity(a.Deliver, o.input())
	require.ErrorContains(t, err, "this worker delivers no callbacks")
}

// An answer may be lost, so an event that is told again is the one that was told.
func TestARepeatedEventSaysWhatItSaidFirst(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 5, message.Sent)
	o.st.Metadata = []byte(`{"k":"v"}`)
	var heard []callback.Event
	o.accept = func(_ int, e callback.Event) *callback.Failure {
		if heard = append(heard, e); len(heard) < 3 {
			return &callback.Failure{Code: callback.CodeTimeout}
		}
		return nil
	}
	in := o.input()
	for rev := range int64(3) {
		o.st.Rev, o.st.AsOf = 5+rev, noon.Add(time.Duration(rev)*time.Minute)
		in.Cursor = o.deliver(t, in).Cursor
	}
	require.Equal(t, callback.TypeStarted, heard[0].Type)
	require.EqualValues(t, 5, heard[0].Batch.Rev)
	require.JSONEq(t, `{"k":"v"}`, string(heard[0].Batch.Metadata))
	require.Equal(t, heard[0], heard[1])
	require.Equal(t, heard[0], heard[2])
	require.Nil(t, in.Cursor.Pending)
	require.Equal(t, []string{"batch.started", "message.sent 0"}, o.told())
}

// An event of the batch that nobody took before the batch changed again is another one
// than the next of its type.
func TestAnEventThatWasOvertakenKeepsItsID(t *testing.T) {
	t.Parallel()
	o := newOffice(message.BatchRunning, 5, message.Sending)
	in := o.input()
	in.Cursor = o.deliver(t, in).Cursor
	var heard []callback.Event
	o.accept = func(_ int, e callback.Event) *callback.Failure {
		heard = append(heard, e)
		return &callback.Failure{Code: callback.CodeTimeout}
	}
	for _, state := range []message.BatchState{message.BatchPaused, message.BatchRunning, message.BatchPaused} {
		o.st.State, o.st.Rev = state, o.st.Rev+1
		in.Cursor = o.deliver(t, in).Cursor
	}
	require.Len(t, heard, 2)
	require.Equal(t, heard[0].Type, heard[1].Type)
	require.NotEqual(t, heard[0].ID, heard[1].ID)
	require.EqualValues(t, 8, heard[1].Batch.Rev)
}

func TestOnlyEventsThatATenantWantsAreTold(t *testing.T) {
	t.Parallel()
	for _, total := range []int{3, 1001} { // one by one, and page by page
		states := slices.Repeat([]message.State{message.Sent}, total)
		states[0], states[1] = message.Failed, message.Delivered
		o := newOffice(message.BatchCompleted, 2000, states...)
		o.only = []string{"message.failed", "message.delivered"}
		in := o.input()
		in.Callbacks.Messages = true
		res := o.deliver(t, in)
		require.True(t, res.Ended)
		var rows []int
		for _, e := range o.posts {
			for _, r := range e.Rows {
				rows = append(rows, r.Index)
			}
		}
		require.ElementsMatch(t, []int{0, 1}, rows)
		require.EqualValues(t, 2000, res.Cursor.Rev)

		o.posts, o.only = nil, []string{"batch.completed"}
		pages := 0
		o.onPage = func() { pages++ }
		res = o.deliver(t, in)
		require.True(t, res.Ended)
		require.Equal(t, []string{"batch.completed"}, o.told())
		require.Zero(t, pages, "nobody wants to know of messages")
	}
}
