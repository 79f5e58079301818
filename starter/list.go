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
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/workflows"
)

const (
	defaultList = 20
	maxList     = 500
	// sideBySide is how many batches of a list are read at once.
	sideBySide = 8
)

// List returns a page of a tenant's batches. Open batches come before closed
// ones, which is the one order that every kind of visibility store has; a page is
// sorted, newest first. A list may lag behind by seconds.
//
// The counts of closed batches are read from their results, those of open ones
// only when q.Counts asks for it, which needs a worker (ErrNoWorker); otherwise
// they are nil. Metadata of open batches is cut to what fits into the memo.
func (s *Starter) List(ctx context.Context, q ListQuery) (Batches, error) {
	query, err := listQuery(q)
	if err != nil {
		return Batches{}, err
	}
	token, ok := tokenOf(q.Cursor)
	if !ok {
		return Batches{}, invalid("cursor %q is none that a page gave", q.Cursor)
	}
	if q.Limit < 0 {
		return Batches{}, invalid("limit %d: expected 1 to %d", q.Limit, maxList)
	}
	lctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	res, err := s.c.ListWorkflow(lctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(min(cmp.Or(q.Limit, defaultList), maxList)), NextPageToken: token, Query: query,
	})
	if err != nil {
		return Batches{}, s.translate(ctx, "list batches", err)
	}
	out := Batches{Batches: []message.Status{}, Next: listCursor(res.GetNextPageToken())}
	if out.Batches, err = s.listed(ctx, res.GetExecutions(), q.Counts); err != nil {
		return Batches{}, err
	}
	return out, nil
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

// listed turns executions into what is known of their batches.
func (s *Starter) listed(ctx context.Context, found []*workflowpb.WorkflowExecutionInfo, counts bool) ([]message.Status, error) {
	all := make([]message.Status, len(found))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	for i, info := range found {
		ref, ok := parseWorkflowID(info.GetExecution().GetWorkflowId())
		if !ok {
			continue
		}
		all[i] = s.listedStatus(ref, info)
		open := isOpen(info.GetStatus())
		if open && !counts {
			continue
		}
		group.Go(func() error {
			st, err := s.Status(gctx, ref)
			if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoWorker) {
				return nil // its history is gone, or nobody can count it now: null
			}
			if err == nil {
				all[i] = st
			}
			return err
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
	d := s.descriptionOf(info)
	st := d.memo.status(ref)
	st.AsOf = s.o.Now().UTC()
	if !d.known {
		st.CreatedAt = info.GetStartTime().AsTime()
	}
	st.State = message.BatchState(attributeText(info, workflows.AttrState))
	switch {
	case d.open && st.State == message.BatchScheduled:
		var due time.Time
		if readAttribute(info, workflows.AttrDue, &due) {
			st.NextDueAt = &due
		}
	case d.open:
	case d.status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		st.State = message.BatchFailed
		fallthrough
	default:
		st.FinishedAt = &d.closed
	}
	return st
}

func attributeText(info *workflowpb.WorkflowExecutionInfo, name string) string {
	var text string
	readAttribute(info, name, &text)
	return text
}

// readAttribute decodes a search attribute, which is never encrypted.
func readAttribute(info *workflowpb.WorkflowExecutionInfo, name string, out any) bool {
	p := info.GetSearchAttributes().GetIndexedFields()[name]
	return p != nil && converter.GetDefaultDataConverter().FromPayload(p, out) == nil
}

// listQuery writes the visibility query. Runs that went on as a new one are left
// out, since the new one stands for the batch.
func listQuery(q ListQuery) (string, error) {
	tenant := cmp.Or(q.Tenant, DefaultTenant)
	if !ValidID(tenant) {
		return "", invalid("tenant %q: %s", tenant, idRule)
	}
	parts := []string{
		"WorkflowType = " + quote(workflows.SendBatchName),
		"ExecutionStatus != 'ContinuedAsNew'",
		workflows.AttrTenant + " = " + quote(tenant),
	}
	if q.State != "" {
		part, err := stateQuery(message.BatchState(q.State))
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	if q.Dialect != "" {
		parts = append(parts, workflows.AttrDialect+" = "+quote(indexable(q.Dialect)))
	}
	if q.Meta != "" {
		if key, _, ok := strings.Cut(q.Meta, "="); !ok || key == "" {
			return "", invalid("metadata %q: expected key=value", q.Meta)
		}
		parts = append(parts, workflows.AttrMeta+" = "+quote(indexable(q.Meta)))
	}
	return strings.Join(parts, " AND "), nil
}

// stateQuery selects a state. The attribute of a workflow that Temporal ended
// stays as it was, so the execution's own status decides first.
func stateQuery(state message.BatchState) (string, error) {
	is := workflows.AttrState + " = " + quote(string(state))
	switch state {
	case message.BatchScheduled, message.BatchRunning, message.BatchPaused, message.BatchCanceling:
		return is + " AND ExecutionStatus = 'Running'", nil
	case message.BatchCompleted, message.BatchCanceled:
		return is + " AND ExecutionStatus = 'Completed'", nil
	case message.BatchFailed:
		return "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')", nil
	}
	return "", invalid("state %q: expected one of %s", state, fmt.Sprint([]message.BatchState{
		message.BatchScheduled, message.BatchRunning, message.BatchPaused, message.BatchCanceling,
		message.BatchCanceled, message.BatchCompleted, message.BatchFailed,
	}))
}

// quote writes a string for a visibility query, in which quotes are doubled and
// a backslash escapes.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
