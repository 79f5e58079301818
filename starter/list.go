package starter

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

const (
	defaultList = 20
	// sideBySide is how many batches of a list are read at once.
	sideBySide = 8
)

// List returns a page of a tenant's batches. Open batches come before closed
// ones, which is the one order that every kind of visibility store has; a page is
// sorted, newest first. A list may lag behind by seconds.
//
// The counts of closed batches are read from their results, those of open ones
// only when q.Counts asks for it; those that cannot be read are nil. Metadata of open
// batches is cut to what fits into the memo.
func (s *Starter) List(ctx context.Context, q ListQuery) (Batches, error) {
	query, err := s.listQuery(q)
	if err != nil {
		return Batches{}, err
	}
	token, ok := tokenOf(q.Cursor)
	if !ok {
		return Batches{}, server.Invalid("cursor %q is none that a page gave", q.Cursor)
	}
	if q.Limit < 0 {
		return Batches{}, server.Invalid("limit %d: expected 1 to %d", q.Limit, server.MaxList)
	}
	lctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.server.Client.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(min(cmp.Or(q.Limit, defaultList), server.MaxList)), NextPageToken: token, Query: query,
	})
	if err != nil {
		return Batches{}, server.Translate(ctx, "list batches", err)
	}
	found, err := s.listed(ctx, res.GetExecutions(), q.Counts)
	if err != nil {
		return Batches{}, err
	}
	return Batches{Batches: found, Next: listCursor(res.GetNextPageToken())}, nil
}

// listCursor and tokenOf write and read the cursor of a list: Temporal's own token with
// a sum before it, since the server takes one that somebody made up for trouble of its
// own.
func listCursor(token []byte) string {
	if len(token) == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(token)), token...))
}

func tokenOf(cursor string) (token []byte, ok bool) {
	if cursor == "" {
		return nil, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= 4 || binary.BigEndian.Uint32(raw) != crc32.ChecksumIEEE(raw[4:]) {
		return nil, false
	}
	return raw[4:], true
}

// countWait is how long a list waits for the counts of a batch that Temporal ended, which
// a worker has to replay.
const countWait = 2 * time.Second

// listed turns executions into what is known of their batches.
func (s *Starter) listed(ctx context.Context, found []*workflowpb.WorkflowExecutionInfo, counts bool) ([]message.Status, error) {
	all := make([]message.Status, len(found))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for i, info := range found {
		ref, ok := server.ParseWorkflowID(info.GetExecution().GetWorkflowId())
		if !ok {
			continue
		}
		all[i] = s.listedStatus(ref, info)
		open := server.IsOpen(info.GetStatus())
		if open && !counts {
			continue
		}
		group.Go(func() error {
			sctx, byTemporal := gctx, !open && info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
			if byTemporal {
				var cancel context.CancelFunc
				sctx, cancel = context.WithTimeout(gctx, countWait)
				defer cancel()
			}
			st, err := s.Status(sctx, ref)
			// A server may end a call for its deadline before that has come here.
			late := byTemporal && gctx.Err() == nil && (sctx.Err() != nil || errors.Is(err, context.DeadlineExceeded))
			switch {
			case err == nil:
				all[i] = st
			case late, errors.Is(err, ErrNotFound), errors.Is(err, ErrNoWorker), errors.Is(err, ErrStillRunning):
				// Its history is gone, or nobody can count it now: null.
			case gctx.Err() != nil, errors.Is(err, ErrUnreachable), errors.Is(err, ErrBusy):
				return err // no batch can be read
			default: // one batch keeps nobody from the others
				s.o.Log.Warn("the counts of a listed batch cannot be read", zap.String("batch_id", ref.ID), zap.Error(err))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(st message.Status) bool { return st.ID == "" })
	slices.SortStableFunc(all, func(a, b message.Status) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, nil
}

// listedStatus is what the list itself tells of a batch.
func (s *Starter) listedStatus(ref Ref, info *workflowpb.WorkflowExecutionInfo) message.Status {
	d := s.server.DescriptionOf(info)
	st := d.Memo.Status(ref)
	st.AsOf = s.o.Now().UTC()
	if !d.Known {
		st.CreatedAt = info.GetStartTime().AsTime()
	}
	st.State = d.State
	var due time.Time
	switch {
	case !d.Open:
		st.FinishedAt = &d.Closed
		if d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			st.State = message.BatchFailed
		}
	case st.State == message.BatchScheduled && server.ReadAttribute(info, contract.AttrDue, &due):
		st.NextDueAt = &due
	}
	return st
}

// batchesQuery is a visibility query for the batches of a tenant. Runs that went on as a new
// one are left out, since the new one stands for the batch.
func batchesQuery(tenant string) (string, error) {
	tenant = cmp.Or(tenant, DefaultTenant)
	if !ValidID(tenant) {
		return "", server.Invalid("tenant %q: %s", tenant, server.IDRule)
	}
	return "WorkflowType = " + server.Quote(contract.SendBatchName) + " AND ExecutionStatus != 'ContinuedAsNew' AND " +
		contract.AttrTenant + " = " + server.Quote(tenant), nil
}

// listQuery is the visibility query for what a list selects. It refuses metadata that no
// batch can be found by, which would read as if there were none.
func (s *Starter) listQuery(q ListQuery) (string, error) {
	query, err := batchesQuery(q.Tenant)
	if err != nil {
		return "", err
	}
	if q.State != "" {
		states, err := statesQuery(q.State)
		if err != nil {
			return "", err
		}
		query += " AND " + states
	}
	if q.Dialect != "" {
		query += " AND " + contract.AttrDialect + " = " + server.Quote(indexable(q.Dialect))
	}
	if q.Meta != "" {
		key, _, ok := strings.Cut(q.Meta, "=")
		switch {
		case !ok || key == "":
			return "", server.Invalid("metadata %q: expected key=value", q.Meta)
		case s.o.SearchMetadata != nil && !slices.Contains(s.o.SearchMetadata, key):
			return "", server.Invalid("batches cannot be found by the metadata key %q: search_metadata of the configuration lacks it; batches that start once it is there are found by it", key)
		}
		query += " AND " + contract.AttrMeta + " = " + server.Quote(indexable(q.Meta))
	}
	return query, nil
}

// statesQuery selects any of some states, which have commas between them. The attribute of
// a workflow that Temporal ended stays as it was, so the execution's own status decides
// first.
func statesQuery(names string) (string, error) {
	var parts []string
	for name := range strings.SplitSeq(names, ",") {
		state := message.BatchState(strings.TrimSpace(name))
		part := contract.AttrState + " = " + server.Quote(string(state))
		switch state {
		case message.BatchScheduled, message.BatchRunning, message.BatchPaused, message.BatchCanceling:
			part += " AND ExecutionStatus = 'Running'"
		case message.BatchCompleted, message.BatchCanceled:
			part += " AND ExecutionStatus = 'Completed'"
		case message.BatchFailed:
			part = "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')"
		default:
			return "", server.Invalid("state %q: expected one of %s", state, fmt.Sprint([]message.BatchState{
				message.BatchScheduled, message.BatchRunning, message.BatchPaused, message.BatchCanceling,
				message.BatchCanceled, message.BatchCompleted, message.BatchFailed,
			}))
		}
		parts = append(parts, part)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return "((" + strings.Join(parts, ") OR (") + "))", nil
}

// OpenBatchesQuery finds the batches of all tenants that run, in a list of workflows.
func OpenBatchesQuery() string {
	return "WorkflowType = " + server.Quote(contract.SendBatchName) + " AND ExecutionStatus = 'Running'"
}
