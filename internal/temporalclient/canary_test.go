package temporalclient_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"volley/internal/encryption"
	"volley/internal/temporalclient"
)

// single is a Temporal with one workflow, or none.
type single struct {
	server
	mu     sync.Mutex
	id     string
	memo   *commonpb.Memo
	status enumspb.WorkflowExecutionStatus
	delay  time.Duration
	starts int
	// down is what it answers to who looks.
	down error
}

func (s *single) StartWorkflowExecution(_ context.Context, r *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts++
	if s.id == "" || s.status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || r.GetWorkflowIdConflictPolicy() == enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING {
		s.id, s.memo, s.status, s.delay = r.GetWorkflowId(), r.GetMemo(), enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, r.GetWorkflowStartDelay().AsDuration()
	}
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "r"}, nil
}

func (s *single) DescribeWorkflowExecution(_ context.Context, r *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	if r.GetExecution().GetWorkflowId() != s.id || s.id == "" {
		return nil, serviceerror.NewNotFound("no")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: s.id, RunId: "r"}, Type: &commonpb.WorkflowType{Name: "Keyset"},
		Status: s.status, Memo: s.memo,
	}}, nil
}

// sealedWith is the key of the canary.
func (s *single) sealedWith() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := encryption.SealedWith(s.memo.GetFields()["canary"].GetData())
	return id
}

// end closes the workflow.
func (s *single) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
}

// now is what there is.
func (s *single) now() (id string, delay time.Duration, status enumspb.WorkflowExecutionStatus, starts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id, s.delay, s.status, s.starts
}

// process is one that has a keyset.
func (s *single) process(t *testing.T, k *encryption.Keyset) (client.Client, temporalclient.Options) {
	t.Helper()
	o := temporalclient.Options{Keyset: k, EnvLookup: environment{"TEMPORAL_CONFIG_FILE": "/none.toml", "TEMPORAL_ADDRESS": "passthrough:///memory"}}
	opts, err := temporalclient.ClientOptions(o)
	require.NoError(t, err)
	l := bufconn.Listen(1 << 16)
	g := grpc.NewServer(grpc.UnaryInterceptor(errorDetails))
	workflowservice.RegisterWorkflowServiceServer(g, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(l) })
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions,
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	c, err := client.DialContext(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); g.Stop(); wg.Wait() })
	return c, o
}

// check is what a process with a keyset finds.
func (s *single) check(t *testing.T, k *encryption.Keyset) error {
	t.Helper()
	c, o := s.process(t, k)
	return temporalclient.CheckKeyset(t.Context(), c, "q", o)
}

func TestTheFirstKeysetSwitchesEncryptionOn(t *testing.T) {
	t.Parallel()
	s := &single{}
	require.NoError(t, s.check(t, nil))
	_, _, _, starts := s.now()
	require.Zero(t, starts)

	first := newKeyset(t)
	require.NoError(t, s.check(t, first))
	require.Equal(t, first.Primary(), s.sealedWith())
	require.NoError(t, s.check(t, first))
	id, delay, _, starts := s.now()
	require.Equal(t, "keyset-q", id)
	require.Greater(t, delay, 1000*24*time.Hour, "it never has a task")
	require.Equal(t, 1, starts, "it is sealed once")

	err := s.check(t, nil)
	require.ErrorIs(t, err, encryption.ErrNoKey)
	require.ErrorContains(t, err, fmt.Sprintf("the batches of task queue q are encrypted with key %d, and this process has no keyset", first.Primary()))
	wrong := newKeyset(t)
	err = s.check(t, wrong)
	require.ErrorIs(t, err, encryption.ErrNoKey)
	require.ErrorContains(t, err, fmt.Sprint(first.Primary()))
	require.ErrorContains(t, err, fmt.Sprint(wrong.Primary()))
	require.Equal(t, first.Primary(), s.sealedWith(), "a wrong keyset changes nothing")
}

func TestTheCanaryFollowsThePrimaryKeyAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	s, first := &single{}, newKeyset(t)
	require.NoError(t, s.check(t, first))
	added, id, err := first.WithNewKey()
	require.NoError(t, err)
	require.NoError(t, s.check(t, added))
	require.Equal(t, first.Primary(), s.sealedWith(), "a key that was added seals nothing")
	promoted, err := added.Promote(id)
	require.NoError(t, err)
	require.NoError(t, s.check(t, promoted))
	require.Equal(t, id, s.sealedWith())
	require.NoError(t, s.check(t, added), "it has the key")
	require.Equal(t, id, s.sealedWith())
	require.ErrorIs(t, s.check(t, first), encryption.ErrNoKey)
	retired, err := promoted.Without(first.Primary())
	require.NoError(t, err)
	require.NoError(t, s.check(t, retired))
}

func TestACanaryThatWasEndedIsMadeAnewAndStillCounts(t *testing.T) {
	t.Parallel()
	s, k := &single{}, newKeyset(t)
	require.NoError(t, s.check(t, k))
	s.end()
	require.ErrorIs(t, s.check(t, nil), encryption.ErrNoKey)
	require.NoError(t, s.check(t, k))
	_, _, status, _ := s.now()
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, status)
}

func TestWhoHasAKeysetMustBeAbleToLook(t *testing.T) {
	t.Parallel()
	s := &single{down: serviceerror.NewPermissionDenied("no", "no")}
	require.NoError(t, s.check(t, nil))
	require.ErrorContains(t, s.check(t, newKeyset(t)), "look which key is in use")
	_, _, _, starts := s.now()
	require.Zero(t, starts)
}
