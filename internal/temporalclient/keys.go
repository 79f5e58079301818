package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"sync"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"volley/internal/encryption"
)

const (
	// keyPage is how many workflows, and how many events of one, are asked for at once.
	keyPage = 1000
	// keyReads is how many histories are read at once.
	keyReads = 8
)

// KeyUse counts the runs of workflows with payloads that a key sealed.
type KeyUse struct {
	Runs int
	// Workflow is the id of one of them.
	Workflow string
}

// KeyUses says which keys sealed the payloads of a namespace: in the histories, memos and
// heartbeats of all workflows that Temporal lists, the closed ones within its retention too.
// It reads all of them and needs no key. Where first is not 0 it ends as soon as it has seen
// a payload of that key. What is written meanwhile may be left out, and so may a workflow
// that began a moment ago.
func KeyUses(ctx context.Context, c client.Client, namespace string, first uint32) (map[uint32]KeyUse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := keyUses{service: c.WorkflowService(), namespace: namespace, first: first, found: cancel, uses: map[uint32]KeyUse{}}
	var group errgroup.Group
	group.SetLimit(keyReads)
	err := u.runs(ctx, func(run *workflowpb.WorkflowExecutionInfo) {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return u.read(ctx, run)
		})
	})
	if werr := group.Wait(); err == nil {
		err = werr
	}
	if _, seen := u.uses[first]; first != 0 && seen {
		err = nil // it ended there
	}
	if err != nil {
		return nil, fmt.Errorf("look which keys the workflows use: %w", err)
	}
	return u.uses, nil
}

// keyUses is one call of KeyUses.
type keyUses struct {
	service   workflowservice.WorkflowServiceClient
	namespace string
	first     uint32
	found     func()

	mu   sync.Mutex
	uses map[uint32]KeyUse
}

// runs lists all runs of workflows.
func (u *keyUses) runs(ctx context.Context, each func(*workflowpb.WorkflowExecutionInfo)) error {
	for token := []byte(nil); ; {
		res, err := u.service.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: u.namespace, PageSize: keyPage, NextPageToken: token,
		})
		if err != nil {
			return err
		}
		for _, run := range res.GetExecutions() {
			old := run.GetType().GetName() == canaryType && run.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
			if !old { // a canary that was replaced is for nobody
				each(run)
			}
		}
		if token = res.GetNextPageToken(); len(token) == 0 {
			return ctx.Err()
		}
	}
}

// read adds one run. One that Temporal has forgotten meanwhile uses nothing.
func (u *keyUses) read(ctx context.Context, run *workflowpb.WorkflowExecutionInfo) error {
	keys := map[uint32]bool{}
	err := readKeys(ctx, run, keys)
	if err == nil && run.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		var d *workflowservice.DescribeWorkflowExecutionResponse
		d, err = u.service.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{Namespace: u.namespace, Execution: run.GetExecution()})
		if err == nil {
			err = readKeys(ctx, d, keys)
		}
	}
	for token := []byte(nil); err == nil; {
		var h *workflowservice.GetWorkflowExecutionHistoryResponse
		h, err = u.service.GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
			Namespace: u.namespace, Execution: run.GetExecution(), MaximumPageSize: keyPage, NextPageToken: token,
		})
		if err == nil {
			err = readKeys(ctx, h, keys)
		}
		if token = h.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	u.add(run.GetExecution().GetWorkflowId(), keys)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

func (u *keyUses) add(workflow string, keys map[uint32]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range keys {
		u.uses[key] = KeyUse{Runs: u.uses[key].Runs + 1, Workflow: workflow}
	}
	if u.first != 0 && keys[u.first] {
		u.found()
	}
}

// readKeys adds the keys of all sealed payloads in a message.
func readKeys(ctx context.Context, m proto.Message, keys map[uint32]bool) error {
	return proxy.VisitPayloads(ctx, m, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				if id, ok := encryption.SealedWith(p.GetData()); ok && IsSealed(p) {
					keys[id] = true
				}
			}
			return payloads, nil
		},
	})
}
