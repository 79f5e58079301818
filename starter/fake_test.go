package starter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	querypb "go.temporal.io/api/query/v1"
	"go.temporal.io/api/serviceerror"
	updatepb "go.temporal.io/api/update/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"volley/starter"
	"volley/workflows/contract"
)

// fake is a Temporal server in memory that holds what tests put into it. Its
// workflows do not run: tests say how they answer.
type fake struct {
	workflowservice.UnimplementedWorkflowServiceServer
	operatorservice.UnimplementedOperatorServiceServer

	server *grpc.Server
	client client.Client
	dial   func(context.Context) (client.Client, error)

	mu         sync.Mutex
	flows      map[string]*flow
	order      []string
	priorities map[string]int32 // by workflow id
	attributes map[string]enumspb.IndexedValueType
	startError error
	payload    int64 // how many bytes it takes in a payload; 0 is that it does not say
	noCluster  bool  // the cluster does not tell its id
	lists      []*workflowservice.ListWorkflowExecutionsRequest
	nextToken  []byte
	calls      map[string]int // that clients made, by method
	lost       map[string]int // how many of the next answers do not come, by method
	sound      bool           // connections from now on lose no answers
	noName     bool           // does the server not find its namespace, once no answer is to be lost any more
	updates    []string       // the ids of updates that were asked for
	deleted    []string
	leaving    map[string]*workflowpb.WorkflowExecutionInfo // deleted, and described linger times more
	linger     int
	answer     func(name string, args *commonpb.Payloads) (any, error) // of workflows that start
	onStarted  func()                                                  // has a workflow begun, and its answer not been sent
	onSignal   func()                                                  // closes the workflow, so that the signal fails
	beforeList func(context.Context) error
	started    chan struct{} // gets a value for each workflow that starts
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{server: grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true})), flows: map[string]*flow{}, calls: map[string]int{}, lost: map[string]int{}, leaving: map[string]*workflowpb.WorkflowExecutionInfo{}, attributes: starter.Attributes()}
	workflowservice.RegisterWorkflowServiceServer(f.server, f)
	operatorservice.RegisterOperatorServiceServer(f.server, f)
	checks := health.NewServer()
	checks.SetServingStatus("temporal.api.workflowservice.v1.WorkflowService", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(f.server, checks)
	lis := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(lis) }()
	t.Cleanup(func() {
		f.server.Stop()
		require.NoError(t, <-done)
	})
	f.dial = func(ctx context.Context) (client.Client, error) { return f.connect(ctx, lis) }
	c, err := f.dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	f.client = c
	return f
}

// connect opens a connection on which answers may be lost.
func (f *fake) connect(ctx context.Context, lis *bufconn.Listener) (client.Client, error) {
	f.mu.Lock()
	sound := f.sound
	f.mu.Unlock()
	return client.DialContext(ctx, client.Options{
		HostPort: "passthrough:///fake", Logger: nopLogger{},
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				f.mu.Lock()
				name := path.Base(method)
				f.calls[name]++
				lost := f.lost[name] > 0 && !sound
				if lost {
					f.lost[name]--
				}
				missing := f.noName && !lost && name != "GetSystemInfo" // which needs none
				f.mu.Unlock()
				if missing {
					return serviceerror.NewNamespaceNotFound("default")
				}
				err := invoke(ctx, method, req, reply, cc, opts...)
				if lost {
					return status.Error(codes.DeadlineExceeded, "the answer is lost")
				}
				return err
			}),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		}},
	})
}

// lose lets the next n answers to a method not come.
func (f *fake) lose(method string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost[method] = n
}

type nopLogger struct{}

func (nopLogger) Debug(string, ...any) {}
func (nopLogger) Info(string, ...any)  {}
func (nopLogger) Warn(string, ...any)  {}
func (nopLogger) Error(string, ...any) {}

func (f *fake) flow(t *testing.T, id string) *flow {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Contains(t, f.flows, id)
	return f.flows[id]
}

// called counts the calls of a method, also those given up before the server
// looked at them.
func (f *fake) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func payloads(t *testing.T, v any) *commonpb.Payloads {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayloads(v)
	require.NoError(t, err)
	return p
}

func failure(err error) error { return serviceerror.ToStatus(err).Err() }

func (f *fake) find(id string) (*flow, error) {
	if w, ok := f.flows[id]; ok {
		return w, nil
	}
	return nil, failure(serviceerror.NewNotFound("workflow not found for ID: " + id))
}

func (f *fake) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{
		InternalErrorDifferentiation: true,
	}}, nil
}

func (f *fake) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{NamespaceInfo: &namespacepb.NamespaceInfo{
		Limits: &namespacepb.NamespaceInfo_Limits{BlobSizeLimitError: f.payload},
	}}, nil
}

func (f *fake) StartWorkflowExecution(ctx context.Context, r *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startError != nil {
		return nil, failure(f.startError)
	}
	for name := range r.GetSearchAttributes().GetIndexedFields() {
		if _, ok := f.attributes[name]; !ok {
			return nil, failure(serviceerror.NewInvalidArgument("Namespace default has no mapping defined for search attribute " + name))
		}
	}
	if _, ok := f.flows[r.GetWorkflowId()]; ok {
		return nil, failure(serviceerror.NewWorkflowExecutionAlreadyStarted("already started", r.GetRequestId(), "run"))
	}
	w := &flow{start: r, status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, closed: make(chan struct{}), query: f.answer}
	w.add(time.Now(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, func(e *historypb.HistoryEvent) {
		e.Attributes = &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: r.GetInput()},
		}
	})
	f.flows[r.GetWorkflowId()] = w
	f.order = append(f.order, r.GetWorkflowId())
	if f.onStarted != nil {
		f.onStarted()
		<-ctx.Done()
	}
	if f.started != nil {
		f.started <- struct{}{}
	}
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "run", Started: true}, nil
}

func (f *fake) info(id string) *workflowpb.WorkflowExecutionInfo {
	w := f.flows[id]
	info := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: fmt.Sprintf("%p", w)}, Status: w.status,
		Memo: w.start.GetMemo(), SearchAttributes: w.start.GetSearchAttributes(),
		StartTime: w.events[0].GetEventTime(), HistoryLength: w.length + int64(len(w.events)), HistorySizeBytes: w.bytes,
	}
	if w.status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		info.CloseTime = w.events[len(w.events)-1].GetEventTime()
	}
	return info
}

func (f *fake) DescribeWorkflowExecution(_ context.Context, r *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := r.GetExecution().GetWorkflowId()
	info := f.leaving[id]
	if _, err := f.find(id); err == nil {
		info = f.info(id)
	} else if f.linger--; f.linger < 0 || info == nil {
		return nil, err
	}
	res := &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}
	if p := f.priorities[id]; p != 0 { // which lists do not tell
		info = proto.CloneOf(info)
		info.Priority = &commonpb.Priority{PriorityKey: p}
		res.WorkflowExecutionInfo = info
	}
	if w := f.flows[id]; w != nil {
		res.PendingActivities = w.pending
	}
	return res, nil
}

// GetWorkflowExecutionHistory serves two events a page, so that every reader has
// to page.
func (f *fake) GetWorkflowExecutionHistory(ctx context.Context, r *workflowservice.GetWorkflowExecutionHistoryRequest) (*workflowservice.GetWorkflowExecutionHistoryResponse, error) {
	f.mu.Lock()
	w, err := f.find(r.GetExecution().GetWorkflowId())
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	last := r.GetHistoryEventFilterType() == enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
	if last && r.GetWaitNewEvent() {
		select {
		case <-w.closed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if last {
		return &workflowservice.GetWorkflowExecutionHistoryResponse{History: &historypb.History{Events: w.events[len(w.events)-1:]}}, nil
	}
	from, _ := strconv.Atoi(string(r.GetNextPageToken()))
	to := min(from+2, len(w.events))
	res := &workflowservice.GetWorkflowExecutionHistoryResponse{History: &historypb.History{Events: w.events[from:to]}}
	if to < len(w.events) {
		res.NextPageToken = []byte(strconv.Itoa(to))
	}
	return res, nil
}

func (f *fake) QueryWorkflow(ctx context.Context, r *workflowservice.QueryWorkflowRequest) (*workflowservice.QueryWorkflowResponse, error) {
	f.mu.Lock()
	w, err := f.find(r.GetExecution().GetWorkflowId())
	if err != nil {
		f.mu.Unlock()
		return nil, err
	}
	status, query, worked := w.status, w.query, w.worked()
	if len(w.between) > 0 {
		status, w.between = w.between[0], w.between[1:]
	}
	f.mu.Unlock()
	if status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && r.GetQueryRejectCondition() == enumspb.QUERY_REJECT_CONDITION_NOT_OPEN {
		return &workflowservice.QueryWorkflowResponse{QueryRejected: &querypb.QueryRejected{Status: status}}, nil
	}
	if status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && (!worked || w.failing) {
		return nil, failure(serviceerror.NewWorkflowNotReady("it cannot be asked"))
	}
	if query == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out, err := query(r.GetQuery().GetQueryType(), r.GetQuery().GetQueryArgs())
	var canceled *serviceerror.Canceled
	if errors.As(err, &canceled) { // the server's own
		return nil, failure(err)
	}
	if err != nil {
		fail := temporal.GetDefaultFailureConverter().ErrorToFailure(err)
		return nil, failure(serviceerror.NewQueryFailedWithFailure(err.Error(), fail))
	}
	p, err := converter.GetDefaultDataConverter().ToPayloads(out)
	return &workflowservice.QueryWorkflowResponse{QueryResult: p}, err
}

func (f *fake) UpdateWorkflowExecution(ctx context.Context, r *workflowservice.UpdateWorkflowExecutionRequest) (*workflowservice.UpdateWorkflowExecutionResponse, error) {
	f.mu.Lock()
	w, err := f.find(r.GetWorkflowExecution().GetWorkflowId())
	f.updates = append(f.updates, r.GetRequest().GetMeta().GetUpdateId())
	if err == nil && w.status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		err = failure(serviceerror.NewNotFound("workflow execution already completed"))
	}
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if w.update == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out, err := w.update(r.GetRequest().GetInput().GetName(), r.GetRequest().GetInput().GetArgs())
	res := &workflowservice.UpdateWorkflowExecutionResponse{
		UpdateRef: &updatepb.UpdateRef{WorkflowExecution: r.GetWorkflowExecution(), UpdateId: r.GetRequest().GetMeta().GetUpdateId()},
		Stage:     enumspb.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED,
	}
	if _, ours := err.(serviceerror.ServiceError); ours { //nolint:errorlint // what tests return as it is
		return nil, failure(err)
	}
	if err != nil {
		res.Outcome = &updatepb.Outcome{Value: &updatepb.Outcome_Failure{Failure: temporal.GetDefaultFailureConverter().ErrorToFailure(err)}}
		return res, nil
	}
	p, err := converter.GetDefaultDataConverter().ToPayloads(out)
	res.Outcome = &updatepb.Outcome{Value: &updatepb.Outcome_Success{Success: p}}
	return res, err
}

func (f *fake) SignalWorkflowExecution(_ context.Context, r *workflowservice.SignalWorkflowExecutionRequest) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := f.find(r.GetWorkflowExecution().GetWorkflowId())
	if err != nil {
		return nil, err
	}
	if f.onSignal != nil {
		f.onSignal()
		return nil, failure(serviceerror.NewNotFound("workflow execution already completed"))
	}
	if w.status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, failure(serviceerror.NewNotFound("workflow execution already completed"))
	}
	w.signals = append(w.signals, r.GetSignalName()+" "+string(r.GetInput().GetPayloads()[0].GetData()))
	if w.start.GetWorkflowType().GetName() == contract.HoldRedrivenName {
		w.add(time.Now(), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, func(*historypb.HistoryEvent) {})
	}
	return &workflowservice.SignalWorkflowExecutionResponse{}, nil
}

// beforeLists sets what comes before lists; a late one may still be answered.
func (f *fake) beforeLists(do func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beforeList = do
}

func (f *fake) ListWorkflowExecutions(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	before := f.beforeList
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists = append(f.lists, r)
	res := &workflowservice.ListWorkflowExecutionsResponse{NextPageToken: f.nextToken}
	for _, id := range f.order {
		res.Executions = append(res.Executions, f.info(id))
	}
	return res, nil
}

func (f *fake) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: f.attributes}, nil
}

func (f *fake) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, kind := range r.GetSearchAttributes() {
		if name == "VolleyDue" && f.startError != nil {
			return nil, failure(serviceerror.NewAlreadyExists("somebody else was faster"))
		}
		f.attributes[name] = kind
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}
