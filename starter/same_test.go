package starter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"volley/internal/message"
	"volley/starter"
)

// asks notes what is proposed, and lets it start.
func asks(to *starter.Proposal) func(context.Context, *starter.Proposal) error {
	return func(_ context.Context, p *starter.Proposal) error {
		*to = *p
		return nil
	}
}

// other asks for a batch that says what request("a", n) says, in another order and
// with other flags.
func other(id string, n int) starter.Request {
	r := request(id, n)
	r.Flags = map[string]string{"send-after": "10m"}
	r.Body = []byte("to,n\r\n")
	r.Batch.SendAfter = noon.Add(10 * time.Minute).UnixMilli()
	slices.Reverse(r.Batch.Messages)
	return r
}

// counted is the result of a batch with some counts.
func counted(id string, state message.BatchState, c message.Counts) message.Result {
	return message.Result{V: 1, Status: message.Status{ID: id, Tenant: "default", State: state, Total: c.Total(), Counts: &c}}
}

func TestABatchIsFoundByItsContent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end   func(*testing.T, *flow)
		found bool
	}{
		"that runs": {func(*testing.T, *flow) {}, true},
		"that was sent": {func(t *testing.T, w *flow) {
			w.complete(t, counted("a", message.BatchCompleted, message.Counts{message.Sent: 2, message.Rejected: 1}))
		}, true},
		"canceled in part": {func(t *testing.T, w *flow) {
			w.complete(t, counted("a", message.BatchCanceled, message.Counts{message.Sent: 1, message.Canceled: 2}))
		}, true},
		"that may have gone": {func(t *testing.T, w *flow) {
			w.complete(t, counted("a", message.BatchCompleted, message.Counts{message.Unknown: 1, message.Failed: 2}))
		}, true},
		"canceled before": {func(t *testing.T, w *flow) {
			w.complete(t, counted("a", message.BatchCanceled, message.Counts{message.Canceled: 3}))
		}, false},
		"of which none went": {func(t *testing.T, w *flow) {
			w.complete(t, counted("a", message.BatchCompleted, message.Counts{message.Failed: 2, message.Rejected: 1}))
		}, false},
		"terminated before": {func(_ *testing.T, w *flow) { w.terminate(noon) }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			start(t, s, request("a", 3))
			attrs := f.flow(t, "batch-a").start.GetSearchAttributes().GetIndexedFields()
			tag := decode[string](t, attrs["VolleyContent"])
			require.Regexp(t, "^[0-9a-f]{10}$", tag)
			tt.end(t, f.flow(t, "batch-a"))

			var p starter.Proposal
			r := other("b", 3)
			r.Ask = asks(&p)
			got := start(t, s, r)
			require.NoError(t, p.SameErr)
			require.Equal(t, p.Same, got.Same)
			if !tt.found {
				require.Nil(t, p.Same)
				return
			}
			require.Equal(t, &starter.Same{ID: "a", At: noon}, p.Same)
			require.Equal(t, "WorkflowType = 'SendBatch' AND VolleyContent = '"+tag+"' AND VolleyTenant = 'default' AND (ExecutionStatus = 'Running' OR CloseTime > '2026-11-19T12:00:00Z')", f.lists[0].GetQuery())
		})
	}
}

func TestWhatIsProposed(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	var p starter.Proposal
	r := other("b", 3)
	r.Ask = asks(&p)
	start(t, s, r)
	require.Equal(t, "b", p.ID)
	require.Equal(t, []int{3, 1}, []int{p.Total, p.Rejected})
	require.Equal(t, noon.Add(10*time.Minute), p.Due)
	require.Equal(t, "+15550000001", p.First.To, "the first one is rejected")
	require.Empty(t, p.Header.Messages)
	require.Equal(t, r.Batch.Hops, p.Header.Hops)
	require.Nil(t, p.Estimate)

	r = other("c", 3)
	r.Batch.Messages[1].Params["n"] = "another text"
	r.Ask = asks(&p)
	start(t, s, r)
	require.Nil(t, p.Same, "another parameter is another content")

	r = other("b", 3)
	p = starter.Proposal{}
	r.Ask = asks(&p)
	require.True(t, start(t, s, r).Existing)
	require.Empty(t, p.ID, "what is there already is not asked for")
}

func TestAnAnswerKeepsABatchFromStarting(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	b := newBig(t, starter.Options{})
	r := request("a", 3)
	r.Ask = func(context.Context, *starter.Proposal) error { return no }
	_, err := b.Start(t.Context(), r)
	require.ErrorIs(t, err, no)
	_, err = b.StartLarge(t.Context(), r, streamOf(3000))
	require.ErrorIs(t, err, no)
	require.Empty(t, b.flows)
	require.Zero(t, b.folders(t), "what was uploaded is removed")
}

func TestTheTimeOfAQuestionIsNotThatOfTheMessages(t *testing.T) {
	t.Parallel()
	l := newLossy(t, starter.Options{})
	r := request("a", 1)
	r.Ask = func(context.Context, *starter.Proposal) error {
		l.clock.Store(int64(time.Hour))
		return nil
	}
	start(t, l.Starter, r)
	st, err := l.Starter.List(t.Context(), starter.ListQuery{})
	require.NoError(t, err)
	require.Len(t, st.Batches, 1)
	require.Equal(t, noon.Add(time.Hour), st.Batches[0].CreatedAt)
}

func TestAStreamHasTheContentOfTheSameBatchInMemory(t *testing.T) {
	t.Parallel()
	b := newBig(t, starter.Options{})
	start(t, b.Starter, request("small", 5))
	var p starter.Proposal
	got, err := b.StartLarge(t.Context(), starter.Request{Ref: a, Ask: asks(&p)}, streamOf(5))
	require.NoError(t, err)
	require.Equal(t, "small", p.Same.ID)
	require.Equal(t, p.Same, got.Same)
	require.Equal(t, "+15550000000", p.First.To)
	require.NotNil(t, p.Estimate)
	require.Equal(t, []int{5, 1}, []int{p.Total, p.Rejected})

	p = starter.Proposal{}
	_, err = b.StartLarge(t.Context(), starter.Request{Ref: a, Ask: asks(&p)}, streamOf(5))
	require.NoError(t, err)
	require.Empty(t, p.ID, "it is there already")
}

func TestATenantsContentIsItsOwn(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	start(t, s, request("a", 3))
	var p starter.Proposal
	r := other("b", 3)
	r.Tenant, r.Ask = "acme", asks(&p)
	start(t, s, r)
	require.Nil(t, p.Same)
}

func TestContentsUnderOtherKeysAreNotCompared(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 3))
	for name, o := range map[string]starter.Options{"another": {ContentKey: []byte("x")}, "none": {NoContent: true}} {
		o.Now = func() time.Time { return noon }
		var p starter.Proposal
		r := other(name, 3)
		r.Ask = asks(&p)
		start(t, starter.New(f.client, o), r)
		require.Nil(t, p.Same)
		require.Equal(t, o.NoContent, p.SameErr != nil)
		_, has := f.flow(t, "batch-"+name).start.GetSearchAttributes().GetIndexedFields()["VolleyContent"]
		require.Equal(t, !o.NoContent, has)
	}
}

func TestAServerWithoutTheAttributeStartsBatches(t *testing.T) {
	t.Parallel()
	now := noon
	s, f := newStarter(t, starter.Options{Now: func() time.Time { return now }})
	delete(f.attributes, "VolleyContent")
	begin := func(id string) (indexed bool) {
		start(t, s, request(id, 3))
		_, indexed = f.flow(t, "batch-"+id).start.GetSearchAttributes().GetIndexedFields()["VolleyContent"]
		return indexed
	}
	require.False(t, begin("a"))
	require.Equal(t, 2, f.called("StartWorkflowExecution"), "it was tried")
	require.False(t, begin("b"))
	require.Equal(t, 3, f.called("StartWorkflowExecution"), "it is known")
	f.attributes["VolleyContent"] = starter.Attributes()["VolleyContent"]
	now = now.Add(2 * time.Minute)
	require.True(t, begin("c"), "somebody has added it")

	delete(f.attributes, "VolleyContent")
	f.beforeList = func(context.Context) error {
		return failure(serviceerror.NewInvalidArgument("invalid query: no such attribute"))
	}
	var p starter.Proposal
	r := other("d", 3)
	r.Ask = asks(&p)
	calls := f.called("StartWorkflowExecution")
	start(t, s, r)
	var missing *starter.MissingAttributesError
	require.ErrorAs(t, p.SameErr, &missing)
	require.Equal(t, []string{"VolleyContent"}, missing.Names)
	require.Equal(t, calls+1, f.called("StartWorkflowExecution"))
}

func TestASubmitOfAHundredLooksBesideItsStart(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 100))
	start(t, s, request("small", 99))
	// The list answers only once the batch has started.
	f.started = make(chan struct{}, 1)
	f.beforeList = func(ctx context.Context) error {
		select {
		case <-f.started:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := other("b", 100)
	r.SameWithin = time.Minute
	require.Equal(t, &starter.Same{ID: "a", At: noon}, start(t, s, r).Same)

	lists := f.called("ListWorkflowExecutions")
	r = other("small-again", 99)
	r.SameWithin = time.Minute
	require.Nil(t, start(t, s, r).Same)
	require.Equal(t, lists, f.called("ListWorkflowExecutions"), "fewer are not looked for")

	f.started, f.beforeList = nil, nil
	for i := range 10 {
		r = other(fmt.Sprint("burst-", i), 100)
		r.SameWithin = time.Minute
		start(t, s, r)
	}
	require.Equal(t, 5, f.called("ListWorkflowExecutions"), "lists are not for this alone")
}

func TestAListThatIsLateOrBrokenDoesNotHoldUpASubmit(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 100))
	for id, list := range map[string]func(context.Context) error{
		"late":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"broken": func(context.Context) error { return failure(serviceerror.NewInternal("no")) },
	} {
		f.beforeLists(list)
		r := other(id, 100)
		r.SameWithin = 10 * time.Millisecond
		require.Nil(t, start(t, s, r).Same)
		require.Contains(t, f.flows, "batch-"+id)
	}
}

func TestARedriveAsksAndIsNoRepeat(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 2))
	f.flow(t, "batch-a").terminate(noon)
	var p starter.Proposal
	_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled"}, Ask: asks(&p)})
	require.NoError(t, err)
	require.Equal(t, 2, p.Total)
	require.Nil(t, p.Same)
	require.NoError(t, p.SameErr)
	require.Zero(t, f.called("ListWorkflowExecutions"))

	p = starter.Proposal{}
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled"}, Ask: asks(&p)})
	require.NoError(t, err)
	require.True(t, got.Existing)
	require.Empty(t, p.ID, "it is there already")

	// What was sent by it went out.
	p = starter.Proposal{}
	r := other("b", 2)
	r.Ask = asks(&p)
	start(t, s, r)
	require.Equal(t, got.ID, p.Same.ID)
}
