package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// redriveLink is one redrive of a batch, and which messages it took. Each is a workflow
// whose id can be taken once; its input says it all, so that no worker is needed to read
// it. It stays at Temporal longer than the batch. Of a large batch, which the store
// remembers longer than that, each is written there as well, before its new batch starts.
type redriveLink struct {
	contract.HoldRedrivenInput
	n      int
	stored bool
}

// redriveChain are all redrives of a batch, from the first on and without a gap.
type redriveChain []redriveLink

// errTaken is that another redrive is the nth.
var errTaken = errors.New("another redrive was faster")

// startWithin is for how long the batch of a redrive may be started that broke off. A
// batch that started stays at Temporal for a day at least, so that until then one that is
// not there has not started.
const startWithin = 12 * time.Hour

// signalDropped tells a redrive's workflow that its new batch was deleted.
const signalDropped = "dropped"

// taken are the messages that redrives took, without the nth.
func (c redriveChain) taken(n int) (all message.IndexSet) {
	for i := range c {
		if c[i].n != n {
			all.Union(c[i].Messages)
		}
	}
	return all
}

// redrivesOf reads all redrives of a batch.
func (s *Starter) redrivesOf(ctx context.Context, ref Ref, chosen *chosenMessages) (chain redriveChain, err error) {
	dir := ""
	if chosen.view != nil {
		dir = chosen.view.Large.Dir
	}
	for n := 1; ; n++ {
		l, ok, err := s.redriveLink(ctx, ref, dir, n)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return chain, nil
		case l.Created != chosen.header.CreatedAt.UnixMilli():
			return nil, fmt.Errorf("redrive batch %s: %w: Temporal still has redrives of an earlier batch with this id", ref.ID, ErrDeletionPending)
		}
		chain = append(chain, l)
	}
}

// redriveLink reads the nth redrive of a batch; ok is false if there is none.
func (s *Starter) redriveLink(ctx context.Context, ref Ref, dir string, n int) (l redriveLink, ok bool, err error) {
	l.n = n
	what := fmt.Sprintf("redrive %d of batch %s", n, ref.ID)
	if dir != "" && s.o.Store != nil {
		if l.stored, err = s.o.Store.Redriven(ctx, dir, n, &l.HoldRedrivenInput); err != nil || l.stored {
			return l, l.stored, server.StoreError(what, err)
		}
	}
	rctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	err = s.server.InputOf(rctx, s.server.Client, what, contract.RedriveID(WorkflowID(ref), n), &l.HoldRedrivenInput)
	if errors.Is(err, ErrNotFound) {
		return l, false, nil
	}
	return l, err == nil, err
}

// take takes messages for the next redrive. The error is errTaken where another one is
// there already, and an ErrMayHaveStarted where nobody can say whether this one is.
func (r *redrive) take(ctx context.Context, next contract.HoldRedrivenInput) error {
	n := len(r.chain) + 1
	wid := contract.RedriveID(next.Batch, n)
	taken := false
	lost, err := r.s.server.CallWithRedial(ctx, r.s.o.Wait, func(ctx context.Context, c client.Client, _ bool) error {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: wid, TaskQueue: r.s.o.TaskQueue, WorkflowExecutionErrorWhenAlreadyStarted: true,
			WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			StaticSummary:            message.Plural(next.Messages.Len(), "message") + " of batch " + r.ref.ID + ", sent again as " + next.To,
		}, contract.HoldRedrivenName, next)
		var exists *serviceerror.WorkflowExecutionAlreadyStarted
		if !errors.As(err, &exists) {
			return err
		}
		var there contract.HoldRedrivenInput
		if err := r.s.server.InputOf(ctx, c, "redrive of batch "+r.ref.ID, wid, &there); err != nil {
			return err
		}
		// The same redrive, asked for twice at the same time, is one.
		taken = there.To != next.To || there.Query != next.Query || !there.Messages.Equal(next.Messages)
		return nil
	})
	switch {
	case lost:
		return &MayHaveStartedError{Ref: Ref{Tenant: r.ref.Tenant, ID: next.To}, Cause: err}
	case err != nil:
		return server.Translate(ctx, "redrive batch "+r.ref.ID, err)
	case taken:
		return errTaken
	}
	r.chain = append(r.chain, redriveLink{HoldRedrivenInput: next, n: n})
	return r.keep(ctx)
}

// keep writes into the store which redrives of a large batch there are, as far as they
// are not there.
func (r *redrive) keep(ctx context.Context) error {
	if r.chosen.view == nil || r.s.o.Store == nil {
		return nil
	}
	for i := range r.chain {
		if l := &r.chain[i]; !l.stored {
			if err := r.s.o.Store.KeepRedriven(ctx, r.chosen.view.Large.Dir, l.n, l.HoldRedrivenInput); err != nil {
				return server.StoreError("redrive batch "+r.ref.ID, err)
			}
			l.stored = true
		}
	}
	return nil
}

// neverStarted reports whether the batch of a redrive, which is not at Temporal, has
// certainly not been there: the redrive is young, its workflow is open, and nobody deleted
// the batch.
func (s *Starter) neverStarted(ctx context.Context, l *redriveLink) (bool, error) {
	if s.o.Now().Sub(time.UnixMilli(l.At)) > startWithin {
		return false, nil
	}
	hctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	events := s.server.Client.GetWorkflowHistory(hctx, contract.RedriveID(l.Batch, l.n), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		switch {
		case server.IsNotFound(err):
			return false, nil
		case err != nil:
			return false, server.Translate(ctx, "redrive of batch "+l.To, err)
		}
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
			return false, nil
		}
	}
	return true, nil
}

// dropRedrive sees to it that a redrive whose new batch is deleted is not started again.
func (s *Starter) dropRedrive(ctx context.Context, ref Ref, old string) error {
	of := Ref{Tenant: ref.Tenant, ID: old}
	d, err := s.server.DescribeOrStored(ctx, of)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for n := 1; ; n++ {
		l, ok, err := s.redriveLink(ctx, of, d.Memo.Dir, n)
		if err != nil || !ok {
			return err
		}
		if l.To != ref.ID {
			continue
		}
		err = s.server.Client.SignalWorkflow(ctx, contract.RedriveID(l.Batch, n), "", signalDropped, nil)
		if server.IsNotFound(err) {
			return nil // it has ended, which says the same
		}
		return server.Translate(ctx, "delete batch "+ref.ID, err)
	}
}

// removeRedrives removes the workflows of the redrives of a batch, the last one first, so
// that there is never a gap before one that is left. dir is the folder of a large batch.
func (s *Starter) removeRedrives(ctx context.Context, ref Ref, dir string) error {
	last := 0
	for ; ; last++ {
		if _, ok, err := s.redriveLink(ctx, ref, dir, last+1); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	for n := last; n > 0; n-- {
		if err := s.removeRun(ctx, ref, contract.RedriveID(WorkflowID(ref), n), ""); err != nil {
			return err
		}
	}
	return nil
}

// BatchRuns reports whether the workflow of a batch runs. It is what the activity of the
// same name does, and can be repeated.
func (s *Starter) BatchRuns(ctx context.Context, in contract.BatchRunsInput) (bool, error) {
	ref, ok := server.ParseWorkflowID(in.Batch)
	if !ok {
		return false, server.Invalid("workflow %q is no batch", in.Batch)
	}
	d, err := s.server.Describe(ctx, ref)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return d.Open, err
}
