package starter

import (
	"context"
	"errors"
	"fmt"
	"iter"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

// Status says where a batch stands. An open batch is asked through a worker, a
// closed one is read from its result, or from the store when Temporal no longer
// has it. A workflow is asked again only once its history has grown, so that looking
// at batches that wait takes no worker's time. The running segments of a large batch
// are asked side by side; where one does not answer, the batch's own last count stands.
//
// Errors: ErrNotFound, ErrNoWorker, ErrUnreachable, ErrInvalid (a bad id).
func (s *Starter) Status(ctx context.Context, ref Ref) (message.Status, error) {
	st, err := s.standing(ctx, ref)
	if err != nil {
		return message.Status{}, err
	}
	switch {
	case st.large:
		return s.viewOf(ref, st).now(ctx), nil
	case st.open:
		// The worker has seen all of the history; its own clock stands at the last
		// thing that happened.
		st.Status.AsOf = s.o.Now().UTC()
		st.Status.Forecast(s.o.Rates[st.Status.Account], 0)
		return st.Status, nil
	}
	res, err := s.reported(ctx, ref, message.Result{Status: st.Status}, false)
	return res.Status, err
}

// Messages returns a page of a batch's messages. Those of a large batch come in
// the order of their due times. A cursor stays good when the batch ends between
// two pages.
func (s *Starter) Messages(ctx context.Context, ref Ref, q message.PageQuery) (message.Page, error) {
	if err := checkPage(q); err != nil {
		return message.Page{}, err
	}
	l, err := s.locate(ctx, ref)
	if err != nil {
		return message.Page{}, err
	}
	if l.view != nil {
		return l.view.page(ctx, q)
	}
	return s.smallPage(ctx, ref, q)
}

func (s *Starter) smallPage(ctx context.Context, ref Ref, q message.PageQuery) (message.Page, error) {
	if err := checkCursor(q); err != nil {
		return message.Page{}, err
	}
	var page message.Page
	closed, err := s.query(ctx, WorkflowID(ref), &page, workflows.QueryMessages, q)
	if err != nil || !closed {
		return page, s.workerError(ctx, "batch "+ref.ID, err)
	}
	res, err := s.end(ctx, ref, true)
	if err != nil {
		return message.Page{}, err
	}
	return pageOf(res.Rows, q)
}

// Message returns one message, by its id or its index, with its trail.
// ErrNotFound is for a batch and for a message that is not there.
func (s *Starter) Message(ctx context.Context, ref Ref, idOrIndex string) (message.Row, error) {
	l, err := s.locate(ctx, ref)
	if err != nil {
		return message.Row{}, err
	}
	wid := WorkflowID(ref)
	what := fmt.Sprintf("message %s of batch %s", idOrIndex, ref.ID)
	i, ok := messageIndex(wid, idOrIndex)
	if !ok {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if l.view != nil {
		return l.view.message(ctx, what, i)
	}
	var row message.Row
	closed, err := s.query(ctx, wid, &row, workflows.QueryMessage, message.KeyOf(wid).MessageID(i))
	if err != nil || !closed {
		return row, s.workerError(ctx, what, err)
	}
	return s.endedMessage(ctx, ref, what, i)
}

// endedMessage is a message of a small batch that has ended.
func (s *Starter) endedMessage(ctx context.Context, ref Ref, what string, i int) (message.Row, error) {
	res, err := s.end(ctx, ref, true)
	if err != nil {
		return message.Row{}, err
	}
	if i >= len(res.Rows) {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	row := res.Rows[i]
	if i < len(res.Trails) && len(res.Trails[i]) > 0 {
		in, err := s.input(ctx, ref) // knows which accounts the hops took
		if err != nil {
			return message.Row{}, err
		}
		row.Trail = in.Batch.TrailOf(i, res.Trails[i])
	}
	return row, nil
}

// Results yields a batch's rows, each once: those of a small batch in the order of
// their indexes, those of a large one in the order of their due times. It ends at
// the first error, which it yields.
func (s *Starter) Results(ctx context.Context, ref Ref, q ResultQuery) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		page := message.PageQuery{State: q.State, Limit: message.MaxPage}
		l, err := s.locate(ctx, ref)
		if err == nil {
			err = checkPage(page)
		}
		if err != nil {
			yield(message.Row{}, err)
			return
		}
		if l.view != nil {
			l.view.results(ctx, page, yield)
			return
		}
		for {
			p, err := s.smallPage(ctx, ref, page)
			if err != nil {
				yield(message.Row{}, err)
				return
			}
			for _, row := range p.Messages {
				if !yield(row, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			page.Cursor = p.Next
		}
	}
}

// Wait blocks until the batch has ended, or ctx has, and returns its final
// status. It needs no worker of its own and does not poll.
func (s *Starter) Wait(ctx context.Context, ref Ref) (message.Status, error) {
	res, err := s.end(ctx, ref, false)
	return res.Status, err
}

// queryTries is how often a question is put that met the end of one run of an
// open batch, or a worker that could not answer it at that moment.
const queryTries = 5

// query asks an open workflow and reads the answer into out. It reports true,
// and leaves out as it is, when the workflow has closed.
func (s *Starter) query(ctx context.Context, wid string, out any, name string, args ...any) (closed bool, err error) {
	// The SDK gives one call half of what is left until the deadline.
	qctx, cancel := context.WithTimeout(ctx, 2*s.o.Wait)
	defer cancel()
	for try := 1; ; try++ {
		res, err := s.c.QueryWorkflowWithOptions(qctx, &client.QueryWorkflowWithOptionsRequest{
			WorkflowID: wid, QueryType: name, Args: args,
			QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
		})
		var failed *serviceerror.QueryFailed
		switch {
		case errors.As(err, &failed) && !isLoading(err) && try < queryTries:
			continue
		case err != nil:
			return false, err
		case res.QueryRejected == nil:
			return false, res.QueryResult.Get(out)
		}
		switch res.QueryRejected.GetStatus() {
		case enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			if try < queryTries {
				continue // the next run is there by now
			}
			return false, fmt.Errorf("%w: the batch went on in another run, again and again", ErrNoWorker)
		case enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:
			return false, fmt.Errorf("%w: the workflow is paused by Temporal's own means", ErrNoWorker)
		default:
			return true, nil
		}
	}
}

// isLoading reports whether a segment answered that it has yet to be read.
func isLoading(err error) bool {
	var failed *serviceerror.QueryFailed
	return errors.As(err, &failed) && failed.Failure.GetApplicationFailureInfo().GetType() == workflows.ErrLoadingType
}

// result waits until a batch has closed and returns how it ended. One that
// Temporal itself ended has no result; it is told from its history. A large one
// that Temporal no longer has is read from the store.
func (s *Starter) result(ctx context.Context, ref Ref) (message.Result, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return message.Result{}, err
	}
	var res message.Result
	err = s.c.GetWorkflow(ctx, wid, "").Get(ctx, &res)
	var ended *temporal.WorkflowExecutionError
	if errors.As(err, &ended) {
		return s.rebuild(ctx, ref)
	}
	err = s.translate(ctx, "batch "+ref.ID, err)
	if errors.Is(err, ErrNotFound) {
		return s.remembered(ctx, ref)
	}
	return res, err
}
