package closeout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// ErrUnreadable means that nobody can tell, now or later, what became of a workflow's
// messages.
var ErrUnreadable = errors.New("nobody can tell any more what became of its messages")

// Reader reads workflows that have closed. It is safe for concurrent use.
type Reader struct{ *server.Server }

// NewReader returns a Reader.
func NewReader(s *server.Server) *Reader { return &Reader{Server: s} }

// run is the last run of a workflow.
type run struct {
	what       string // names it in errors
	id, runID  string
	status     enumspb.WorkflowExecutionStatus
	ended      int64 // in Unix ms; 0 while it is open
	activities []*workflowpb.PendingActivityInfo
}

// describe asks Temporal for the last run of a workflow.
func (s *Reader) describe(ctx context.Context, what, id string) (run, error) {
	dctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	d, err := s.Client.DescribeWorkflowExecution(dctx, id, "")
	if err != nil {
		return run{}, server.Translate(ctx, what, err)
	}
	info := d.GetWorkflowExecutionInfo()
	r := run{what: what, id: id, runID: info.GetExecution().GetRunId(), status: info.GetStatus(), activities: d.GetPendingActivities()}
	if at := info.GetCloseTime(); at != nil {
		r.ended = at.AsTime().UnixMilli()
	}
	return r, nil
}

// begin reads what a run was given, and whether it has got as far as its first workflow
// task: before that it has done nothing, and cannot be asked.
func (s *Reader) begin(ctx context.Context, r run, input any) (worked bool, err error) {
	events := s.Client.GetWorkflowHistory(ctx, r.id, r.runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	given := false
	for events.HasNext() && !worked {
		e, err := events.Next()
		if err != nil {
			return false, server.Translate(ctx, r.what, err)
		}
		if a := e.GetWorkflowExecutionStartedEventAttributes(); a != nil {
			given = true
			if err := s.ConverterOf(r.id).FromPayloads(a.GetInput(), input); err != nil {
				return false, fmt.Errorf("read the input of %s: %w", r.what, err)
			}
		}
		worked = e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
	}
	if !given {
		return false, fmt.Errorf("%s: its history does not say what it was given", r.what)
	}
	return worked, nil
}

// carried is what a run knows that goes on after another and has done nothing yet.
func carried(s *contract.State) contract.LedgerPage {
	return contract.LedgerPage{Ledger: message.Ledger{Records: s.All()}, Rev: s.Rev, Started: s.Started, SendAt: s.SendAt}
}

// queryTries is how often a worker is asked that failed to answer.
const queryTries = 3

// ask puts a question to a run, open or not.
func (s *Reader) ask(ctx context.Context, r run, out any, name string, args ...any) error {
	// The SDK gives one call half of what is left until the deadline.
	qctx, cancel := context.WithTimeout(ctx, 2*s.Wait)
	defer cancel()
	for try := 1; ; try++ {
		res, err := s.Client.QueryWorkflowWithOptions(qctx, &client.QueryWorkflowWithOptionsRequest{
			WorkflowID: r.id, RunID: r.runID, QueryType: name, Args: args,
		})
		var failed *serviceerror.QueryFailed
		var notReady *serviceerror.WorkflowNotReady
		switch {
		case err == nil:
			return res.QueryResult.Get(out)
		case server.IsLoading(err):
			return err
		case (errors.As(err, &failed) || server.MetStoppingWorker(qctx, err)) && try < queryTries:
			continue
		case errors.As(err, &failed):
			return fmt.Errorf("%s: Temporal ended it, and this version of the workers cannot replay it: %w", r.what, err)
		case errors.As(err, &notReady):
			return fmt.Errorf("%s: its workflow tasks were failing when Temporal ended it, and Temporal lets nobody ask such a workflow: %w", r.what, ErrUnreadable)
		}
		return fmt.Errorf("what Temporal ended is read by a worker, which replays it: %w", s.WorkerError(ctx, r.what, err))
	}
}

// ledger asks a run for all that it knows of its messages.
func (s *Reader) ledger(ctx context.Context, r run) (contract.LedgerPage, error) {
	var all contract.LedgerPage
	for {
		var page contract.LedgerPage
		from := len(all.Ledger.Records)
		if err := s.ask(ctx, r, &page, contract.QueryLedger, contract.LedgerQuery{From: from}); err != nil {
			return page, err
		}
		page.Ledger.Records = append(all.Ledger.Records, page.Ledger.Records...)
		page.InFlight = append(all.InFlight, page.InFlight...)
		switch all = page; {
		case page.Next == 0:
			return all, nil
		case page.Next != len(all.Ledger.Records) || page.Next == from:
			return all, fmt.Errorf("%s: it told %d messages, and goes on at %d", r.what, len(all.Ledger.Records), page.Next)
		}
	}
}

// pending are the attempts and groups that the server has of a run, by id. A single message
// may leave as soon as its attempt was taken, and any one of a group whose heartbeat cannot be
// read.
func (s *Reader) pending(r run) map[string]Pending {
	all := map[string]Pending{}
	for _, a := range r.activities {
		p := Pending{Started: a.GetLastStartedTime() != nil}
		switch details := a.GetHeartbeatDetails(); a.GetActivityType().GetName() {
		case contract.SendName:
			p.Progress.Watermark = 1
		case contract.GroupName:
			if len(details.GetPayloads()) > 0 && s.ConverterOf(r.id).FromPayloads(details, &p.Progress) != nil {
				p.Progress = contract.GroupProgress{Watermark: message.LargestGroup}
			}
		default:
			continue
		}
		all[a.GetActivityId()] = p
	}
	return all
}

// close puts together what is known of a run, of which c has the rest. One whose server has
// more under way than it knows itself was not replayed to its end.
func (s *Reader) close(r run, page contract.LedgerPage, c Run) ([]message.Record, message.Counts, int64, error) {
	c.Records, c.InFlight, c.Pending = page.Ledger.Records, page.InFlight, s.pending(r)
	c.Ended, c.Rev = r.ended, page.Rev
	for id, p := range c.Pending {
		if p.Started && !slices.ContainsFunc(page.InFlight, func(f contract.InFlight) bool { return f.ID == id }) {
			return nil, message.Counts{}, 0, fmt.Errorf("%s: its replay does not know of activity %s, which was under way", r.what, id)
		}
	}
	records, counts, rev := c.Close()
	return records, counts, rev, nil
}
