package temporalclient_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/internal/temporalclient"
	"volley/internal/tracing"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"

func tracedWorkflow(ctx workflow.Context, fail bool) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	for _, name := range []string{"Send", "Load", "AwaitRelease"} {
		if err := workflow.ExecuteActivity(ctx, name, fail && name == "Load").Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// tracedRun runs a workflow that began as a part of a trace, and returns its spans.
func tracedRun(t *testing.T, head string, fail bool) tracetest.SpanStubs {
	t.Helper()
	out := &keptSpans{}
	spans, err := tracing.Open(t.Context(), tracing.Options{Exporter: out, Sample: 0})
	require.NoError(t, err)
	opts, err := temporalclient.ClientOptions(temporalclient.Options{Traces: spans.Provider(), EnvLookup: noEnvironment{}})
	require.NoError(t, err)
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetContextPropagators(opts.ContextPropagators)
	env.SetWorkerOptions(sdk.Options{Interceptors: []interceptor.WorkerInterceptor{opts.Interceptors[0].(interceptor.WorkerInterceptor)}})
	if head != "" {
		p, err := converter.GetDefaultDataConverter().ToPayload(head)
		require.NoError(t, err)
		env.SetHeader(&commonpb.Header{Fields: map[string]*commonpb.Payload{"traceparent": p}})
	}
	for _, name := range []string{"Send", "Load", "AwaitRelease"} {
		env.RegisterActivityWithOptions(func(_ context.Context, fail bool) error {
			if fail {
				return errors.New("+15550001111")
			}
			return nil
		}, activity.RegisterOptions{Name: name})
	}
	env.RegisterWorkflowWithOptions(tracedWorkflow, workflow.RegisterOptions{Name: "SendBatch"})
	env.ExecuteWorkflow("SendBatch", fail)
	require.True(t, env.IsWorkflowCompleted())
	require.Equal(t, fail, env.GetWorkflowError() != nil)
	spans.Close()
	return out.list
}

// keptSpans keeps spans.
type keptSpans struct{ list tracetest.SpanStubs }

// ExportSpans is called by one goroutine at a time.
func (k *keptSpans) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.list = append(k.list, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return nil
}

func (*keptSpans) Shutdown(context.Context) error { return nil }

func TestAWorkflowAndItsActivitiesAreSpansOfItsTrace(t *testing.T) {
	t.Parallel()
	got := tracedRun(t, traceparent+"1", false)
	require.Len(t, got, 3, "what only waits has none")
	require.Equal(t, "attempt", got[0].Name)
	require.Equal(t, "Load", got[1].Name)
	run := got[2]
	require.Equal(t, "SendBatch", run.Name)
	require.Equal(t, "00f067aa0ba902b7", run.Parent.SpanID().String())
	for _, s := range got {
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", s.SpanContext.TraceID().String())
	}
	require.Equal(t, run.SpanContext.SpanID(), got[0].Parent.SpanID(), "an activity knew the span of its run before that was made")
}

func TestWhatIsNotSampledHasNoSpans(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"", traceparent + "0", "person"} {
		require.Empty(t, tracedRun(t, head, false), head)
	}
}

func TestTheErrorOfAnActivityIsInNoSpan(t *testing.T) {
	t.Parallel()
	for _, s := range tracedRun(t, traceparent+"1", true) {
		require.Empty(t, s.Events)
		require.Empty(t, s.Status.Description)
		if s.Name != "attempt" {
			require.Equal(t, "Error", s.Status.Code.String())
		}
	}
}

type noEnvironment struct{}

func (noEnvironment) LookupEnv(string) (string, bool) { return "", false }
func (noEnvironment) Environ() []string               { return nil }
