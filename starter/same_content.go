package starter

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

const (
	// sameWindow is for how long a batch that has ended is one that went out already.
	sameWindow = 24 * time.Hour
	// sameFrom is from how many messages on a batch is looked for beside a start.
	sameFrom = 100
	// sameWait bounds the search before a start.
	sameWait = 5 * time.Second
	// samePage is how many batches with the same content are looked at.
	samePage = 20
	// unindexedFor is how long a server without the search attribute for contents is
	// taken for one.
	unindexedFor = time.Minute
)

// propose does what is to be done before a batch starts: it asks, or begins to look for
// the same content beside the start. same waits for what was found.
func (s *Starter) propose(ctx context.Context, r Request, l *launch) (same func() *Same, err error) {
	switch {
	case r.Ask != nil:
		if l.Header.RedriveOf == "" {
			wctx, cancel := context.WithTimeout(ctx, sameWait)
			l.Same, l.SameErr = s.findSame(wctx, l.ref, l.content)
			cancel()
		}
		return func() *Same { return l.Same }, r.Ask(ctx, &l.Proposal)
	case r.SameWithin > 0 && l.Total >= sameFrom && s.sameLimiter.AllowN(s.o.Now(), 1):
		return s.findBeside(ctx, l.ref, r.SameWithin, l.content), nil
	}
	return func() *Same { return nil }, nil
}

// findBeside looks for a batch with the same content in the background, for at most
// within.
func (s *Starter) findBeside(ctx context.Context, ref Ref, within time.Duration, content message.Content) func() *Same {
	ctx, cancel := context.WithTimeout(ctx, within)
	found := make(chan *Same, 1)
	go func() {
		same, _ := s.findSame(ctx, ref, content) // that it is not known is no answer
		found <- same
	}()
	return func() *Same {
		defer cancel()
		select {
		case same := <-found:
			return same
		case <-ctx.Done():
			return nil
		}
	}
}

var errNoContent = errors.New("contents are not compared here, since their key is not known")

// findSame finds the latest batch with a content. One counts while it is open, and for
// a day after its end unless nothing of it had left. The list of batches lags behind by
// a second or so.
func (s *Starter) findSame(ctx context.Context, ref Ref, content message.Content) (*Same, error) {
	if content.IsZero() {
		return nil, errNoContent
	}
	since := s.o.Now().Add(-sameWindow).UTC().Format(time.RFC3339)
	res, err := s.server.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: samePage,
		Query: "WorkflowType = " + server.Quote(contract.SendBatchName) + " AND " + contract.AttrContent + " = " + server.Quote(content.Tag()) +
			" AND " + contract.AttrTenant + " = " + server.Quote(ref.Tenant) + " AND (ExecutionStatus = 'Running' OR CloseTime > " + server.Quote(since) + ")",
	})
	var bad *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &bad):
		s.unindexed.Store(s.o.Now().Add(unindexedFor).UnixNano())
		return nil, &MissingAttributesError{Names: []string{contract.AttrContent}}
	case err != nil:
		return nil, server.Translate(ctx, "look for the same content", err)
	}
	var all []Same
	for _, info := range res.GetExecutions() {
		there, ok := server.ParseWorkflowID(info.GetExecution().GetWorkflowId())
		memo, known := s.server.ReadMemo(info)
		if !ok || !known || there == ref || memo.Content != content.String() {
			continue
		}
		same := Same{ID: there.ID, At: memo.CreatedAt}
		var due time.Time
		if server.ReadAttribute(info, contract.AttrDue, &due) && due.After(same.At) {
			same.At = due
		}
		all = append(all, same)
	}
	slices.SortStableFunc(all, func(a, b Same) int { return b.At.Compare(a.At) })
	for _, same := range all {
		if went, err := s.wentOut(ctx, Ref{Tenant: ref.Tenant, ID: same.ID}); err != nil {
			return nil, err
		} else if went {
			return &same, nil
		}
	}
	return nil, nil
}

// wentOut reports whether a batch counts as one that went out: it has not ended yet, or
// something of it left.
func (s *Starter) wentOut(ctx context.Context, ref Ref) (bool, error) {
	d, err := s.server.Describe(ctx, ref)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil // it is deleted
	case err != nil:
		return false, err
	case d.Open:
		return true, nil
	}
	st, err := s.Status(ctx, ref)
	switch {
	case err != nil && ctx.Err() != nil:
		return false, err
	case err != nil || st.Counts == nil:
		return true, nil // nobody can say that nothing left
	}
	c := st.Counts
	return c[message.Sent]+c[message.Delivered]+c[message.Undelivered]+c[message.Unknown] > 0, nil
}

// contentSum sums up what the messages of a batch say; nil where that is not wanted.
func (s *Starter) contentSum(b *message.Batch) *message.ContentSum {
	if s.o.NoContent {
		return nil
	}
	return message.NewContentSum(s.o.ContentKey, b)
}

// execute starts the workflow of a batch on a connection. A server that has no search attribute for
// contents refuses it as any other invalid argument and then takes it without; that is
// remembered for a while, since somebody may add it.
func (s *Starter) execute(ctx context.Context, c client.Client, l *launch) error {
	l.tag = ""
	if s.o.Now().UnixNano() >= s.unindexed.Load() {
		l.tag = l.content.Tag()
	}
	_, err := c.ExecuteWorkflow(ctx, s.startOptions(l), contract.SendBatchName, l.in)
	var bad *serviceerror.InvalidArgument
	if l.tag == "" || !errors.As(err, &bad) {
		return err
	}
	l.tag = ""
	_, again := c.ExecuteWorkflow(ctx, s.startOptions(l), contract.SendBatchName, l.in)
	if errors.As(again, &bad) {
		return err // that was not why
	}
	if again == nil {
		s.unindexed.Store(s.o.Now().Add(unindexedFor).UnixNano())
	}
	return again
}
