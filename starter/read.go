package starter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows"
)

// Status says where a batch stands. An open batch is asked through a worker, a
// closed one is read from its result.
//
// Errors: ErrNotFound, ErrNoWorker, ErrUnreachable, ErrInvalid (a bad id).
func (s *Starter) Status(ctx context.Context, ref Ref) (message.Status, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return message.Status{}, err
	}
	var st message.Status
	closed, err := s.query(ctx, wid, &st, workflows.QueryStatus)
	if err != nil || !closed {
		// The worker has seen all of the history; its own clock stands at the last
		// thing that happened.
		st.AsOf = s.o.Now().UTC()
		return st, s.workerError(ctx, "batch "+ref.ID, err)
	}
	res, err := s.result(ctx, ref)
	return res.Status, err
}

// Messages returns a page of a batch's messages. A cursor stays good when the
// batch ends between two pages.
func (s *Starter) Messages(ctx context.Context, ref Ref, q message.PageQuery) (message.Page, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return message.Page{}, err
	}
	if err := checkPage(q); err != nil {
		return message.Page{}, err
	}
	var page message.Page
	closed, err := s.query(ctx, wid, &page, workflows.QueryMessages, q)
	if err != nil || !closed {
		return page, s.workerError(ctx, "batch "+ref.ID, err)
	}
	res, err := s.result(ctx, ref)
	if err != nil {
		return message.Page{}, err
	}
	return pageOf(res.Rows, q)
}

// Message returns one message, by its id or its index, with its trail.
// ErrNotFound is for a batch and for a message that is not there.
func (s *Starter) Message(ctx context.Context, ref Ref, idOrIndex string) (message.Row, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return message.Row{}, err
	}
	what := fmt.Sprintf("message %s of batch %s", idOrIndex, ref.ID)
	i, ok := messageIndex(wid, idOrIndex)
	if !ok {
		if _, err := s.describe(ctx, ref); err != nil {
			return message.Row{}, err
		}
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	var row message.Row
	closed, err := s.query(ctx, wid, &row, workflows.QueryMessage, message.KeyOf(wid).MessageID(i))
	if err != nil || !closed {
		return row, s.workerError(ctx, what, err)
	}
	res, err := s.result(ctx, ref)
	if err != nil {
		return message.Row{}, err
	}
	if i >= len(res.Rows) {
		return message.Row{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	row = res.Rows[i]
	if i < len(res.Trails) && len(res.Trails[i]) > 0 {
		in, err := s.input(ctx, ref) // knows which accounts the hops took
		if err != nil {
			return message.Row{}, err
		}
		row.Trail = in.Batch.TrailOf(i, res.Trails[i])
	}
	return row, nil
}

// Results yields a batch's rows in the order of their indexes, each once. It
// ends at the first error, which it yields.
func (s *Starter) Results(ctx context.Context, ref Ref, q ResultQuery) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		page := message.PageQuery{State: q.State, Limit: message.MaxPage}
		for {
			p, err := s.Messages(ctx, ref, page)
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
	res, err := s.result(ctx, ref)
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
		case errors.As(err, &failed) && try < queryTries:
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

// result waits until a batch has closed and returns how it ended. One that
// Temporal itself ended has no result; it is told from its history.
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
	return res, s.translate(ctx, "batch "+ref.ID, err)
}

// description is what Temporal itself knows of a batch.
type description struct {
	memo   memo
	known  bool // the memo is one of ours
	open   bool
	closed time.Time
	status enumspb.WorkflowExecutionStatus
}

func (s *Starter) describe(ctx context.Context, ref Ref) (description, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return description{}, err
	}
	dctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.c.DescribeWorkflowExecution(dctx, wid, "")
	if err != nil {
		return description{}, s.translate(ctx, "batch "+ref.ID, err)
	}
	return s.descriptionOf(res.GetWorkflowExecutionInfo()), nil
}

func (s *Starter) descriptionOf(info *workflowpb.WorkflowExecutionInfo) description {
	m, known := s.readMemo(info.GetMemo())
	d := description{memo: m, known: known, status: info.GetStatus(), open: isOpen(info.GetStatus())}
	if info.GetCloseTime() != nil {
		d.closed = info.GetCloseTime().AsTime()
	}
	return d
}

// isOpen reports whether a batch goes on; the end of one of its runs is not its
// end.
func isOpen(st enumspb.WorkflowExecutionStatus) bool {
	return st == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || st == enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED ||
		st == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
}

// input reads what the latest run of a batch was given.
func (s *Starter) input(ctx context.Context, ref Ref) (workflows.Input, error) {
	wid, err := workflowOf(ref)
	if err != nil {
		return workflows.Input{}, err
	}
	events := s.c.GetWorkflowHistory(ctx, wid, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return workflows.Input{}, fmt.Errorf("batch %s: its history is empty", ref.ID)
	}
	first, err := events.Next()
	if err != nil {
		return workflows.Input{}, s.translate(ctx, "batch "+ref.ID, err)
	}
	return s.inputOf(ref, first)
}
