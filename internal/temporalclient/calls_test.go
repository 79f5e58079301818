package temporalclient_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"volley/internal/temporalclient"
)

// answering is a Temporal that answers every start with what answer says.
type answering struct {
	server
	answer func(context.Context) error
}

func (a answering) StartWorkflowExecution(ctx context.Context, _ *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "r"}, a.answer(ctx)
}

func TestACallWithoutAnAnswerIsToldFromOneThatWasRefusedOrNeverLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(context.Context) error
		stop   bool // before the call
		lost   bool
	}{
		"answered": {answer: func(context.Context) error { return nil }},
		"refused":  {answer: func(context.Context) error { return serviceerror.NewInvalidArgument("no") }},
		"too busy": {answer: func(context.Context) error { return serviceerror.NewResourceExhausted(0, "later") }},
		"exists": {answer: func(context.Context) error {
			return serviceerror.NewWorkflowExecutionAlreadyStarted("it is there", "", "")
		}},
		"never left":   {answer: func(context.Context) error { return nil }, stop: true},
		"unanswered":   {answer: func(ctx context.Context) error { <-ctx.Done(); return nil }, lost: true},
		"not known":    {answer: func(context.Context) error { return serviceerror.NewUnavailable("the database does not answer") }, lost: true},
		"broke inside": {answer: func(context.Context) error { return serviceerror.NewInternal("oops") }, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: environment{
				"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": "passthrough:///memory",
			}})
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) {
				l := bufconn.Listen(1 << 16)
				s := grpc.NewServer(grpc.UnaryInterceptor(errorDetails))
				workflowservice.RegisterWorkflowServiceServer(s, answering{answer: c.answer})
				var wg sync.WaitGroup
				wg.Go(func() { _ = s.Serve(l) })
				defer func() { s.Stop(); wg.Wait() }()
				opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions,
					grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
				tc, err := client.DialContext(t.Context(), opts)
				require.NoError(t, err)
				defer tc.Close()
				if c.stop {
					s.Stop()
					// The connection learns of it by a call that is not tracked.
					_, err := tc.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{})
					require.Error(t, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				ctx, lost := temporalclient.TrackAnswers(ctx)
				require.False(t, lost())
				_, err = tc.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "q"}, "w")
				if name != "answered" && name != "exists" {
					require.Error(t, err)
				}
				require.Equal(t, c.lost, lost())
			})
		})
	}
}

func TestDialSaysThatNobodyAnswered(t *testing.T) {
	t.Parallel()
	_, err := temporalclient.Dial(t.Context(), temporalclient.Options{EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_ADDRESS": "127.0.0.1:1",
	}})
	require.ErrorIs(t, err, temporalclient.ErrNoAnswer)
}
