package starter_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter"
	"volley/workflows/contract"
)

func (f *fake) TerminateWorkflowExecution(_ context.Context, r *workflowservice.TerminateWorkflowExecutionRequest) (*workflowservice.TerminateWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := f.find(r.GetWorkflowExecution().GetWorkflowId())
	if err != nil {
		return nil, err
	}
	w.terminate(time.Now())
	return &workflowservice.TerminateWorkflowExecutionResponse{}, nil
}

func (f *fake) DeleteWorkflowExecution(_ context.Context, r *workflowservice.DeleteWorkflowExecutionRequest) (*workflowservice.DeleteWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := r.GetWorkflowExecution().GetWorkflowId()
	if _, err := f.find(id); err != nil {
		return nil, err
	}
	f.leaving[id] = f.info(id)
	delete(f.flows, id)
	f.deleted = append(f.deleted, id)
	for i := range f.order {
		if f.order[i] == id {
			f.order = append(f.order[:i:i], f.order[i+1:]...)
			break
		}
	}
	return &workflowservice.DeleteWorkflowExecutionResponse{}, nil
}

// GetClusterInfo tells an id of the fake's own.
func (f *fake) GetClusterInfo(context.Context, *workflowservice.GetClusterInfoRequest) (*workflowservice.GetClusterInfoResponse, error) {
	if f.noCluster {
		return nil, serviceerror.NewPermissionDenied("no", "")
	}
	return &workflowservice.GetClusterInfoResponse{ClusterId: fmt.Sprintf("%p", f)}, nil
}

// child puts a segment's workflow into the fake.
func (f *fake) child(t *testing.T, number int, in contract.SegmentInput) *flow {
	t.Helper()
	id := fmt.Sprintf("batch-a~%04d", number)
	p := payloads(t, in)
	w := &flow{
		start:  &workflowservice.StartWorkflowExecutionRequest{WorkflowId: id, Input: p},
		status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, closed: make(chan struct{}),
	}
	w.add(noon, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: p},
		}
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flows[id] = w
	f.order = append(f.order, id)
	return w
}

// onStart lets every workflow that starts answer the overview.
func (f *fake) onStart(o message.Overview) {
	f.answer = func(name string, _ *commonpb.Payloads) (any, error) {
		if name != contract.QueryOverview {
			return nil, fmt.Errorf("unknown query %s", name)
		}
		return o, nil
	}
}

func newStore(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// big is a starter with a store, on a fake on which batches open at once.
type big struct {
	*starter.Starter
	*fake
	store *store.Store
}

func newBig(t *testing.T, o starter.Options) *big {
	t.Helper()
	return newBigOn(t, o, "mem://")
}

func newBigOn(t *testing.T, o starter.Options, url string) *big {
	t.Helper()
	b := &big{store: o.Store}
	if b.store == nil {
		b.store = newStore(t, url)
	}
	o.Store = b.store
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	b.fake = newFake(t)
	b.fake.onStart(message.Overview{V: 1, Opened: true})
	b.Starter = starter.New(b.fake.client, o)
	return b
}

// stream is an Incoming out of memory.
type stream struct {
	header *message.Batch
	all    []message.Message
	at     int
	ended  int
	err    error
	hash   string
	onEnd  func()
}

func streamOf(n int) *stream {
	b := batchOf(n)
	s := &stream{header: b, all: b.Messages, hash: "hash"}
	b.Messages = nil
	return s
}

func (s *stream) Header() *message.Batch { return s.header }

func (s *stream) Next(m *message.Message) bool {
	if s.at == len(s.all) {
		return false
	}
	*m = s.all[s.at]
	s.at++
	return true
}

func (s *stream) End() ([]byte, error) {
	s.ended++
	if s.onEnd != nil {
		s.onEnd()
	}
	return []byte(s.hash), s.err
}

func (b *big) input(t *testing.T) contract.Input {
	t.Helper()
	return decode[contract.Input](t, b.fake.flow(t, "batch-a").start.GetInput().GetPayloads()[0])
}

// startBig starts batch a with n messages, of which the last is rejected.
func (b *big) startBig(t *testing.T, n int) starter.Started {
	t.Helper()
	got, err := b.StartLarge(t.Context(), starter.Request{Ref: a}, streamOf(n))
	require.NoError(t, err)
	return got
}

func (b *big) folders(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range b.store.Folders(t.Context()) {
		require.NoError(t, err)
		n++
	}
	return n
}

// pages answers the queries of a segment's workflow out of rows.
func pages(t *testing.T, status message.Status, rows []message.Row) func(string, *commonpb.Payloads) (any, error) {
	t.Helper()
	return func(name string, args *commonpb.Payloads) (any, error) {
		switch name {
		case contract.QueryStatus:
			return status, nil
		case contract.QueryMessages:
			var q message.PageQuery
			if err := converter.GetDefaultDataConverter().FromPayloads(args, &q); err != nil {
				return nil, err
			}
			return message.Pages(q, len(rows),
				func(i int) (message.State, int64) { return rows[i].State, rows[i].Rev },
				func(i int) message.Row { return rows[i] })
		case contract.QueryMessage:
			var id string
			if err := converter.GetDefaultDataConverter().FromPayloads(args, &id); err != nil {
				return nil, err
			}
			for _, row := range rows {
				if row.ID == id {
					row.Trail = []message.TrailRow{{At: noon, Account: "one", Attempt: 1, Event: message.EventThrottled}}
					return row, nil
				}
			}
		}
		return nil, fmt.Errorf("unknown query %s", name)
	}
}
