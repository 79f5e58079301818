package temporalclient

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"volley/internal/tracing"
)

// traceField is the field of Temporal's headers that names the span which something is a
// part of. It is in clear, also where payloads are sealed, and there only where a trace is
// sampled.
const traceField = "traceparent"

// traceKey is where a workflow's context has the trace.SpanContext that its activities
// and children are parts of.
type traceKey struct{}

// tracePropagator takes traces through Temporal: from whoever starts or signals a
// workflow, through the workflow and its children, to activities.
type tracePropagator struct{}

// Inject names the span of a client's context.
func (tracePropagator) Inject(ctx context.Context, w workflow.HeaderWriter) error {
	return writeTrace(tracing.Parent(ctx), w)
}

// InjectFromWorkflow names the span of a workflow.
func (tracePropagator) InjectFromWorkflow(ctx workflow.Context, w workflow.HeaderWriter) error {
	sc, _ := ctx.Value(traceKey{}).(trace.SpanContext)
	return writeTrace(tracing.Text(sc), w)
}

func writeTrace(parent string, w workflow.HeaderWriter) error {
	if parent == "" {
		return nil
	}
	p, err := converter.GetDefaultDataConverter().ToPayload(parent)
	if err != nil {
		return err
	}
	w.Set(traceField, p)
	return nil
}

// Extract reads the span that an activity is a part of.
func (tracePropagator) Extract(ctx context.Context, r workflow.HeaderReader) (context.Context, error) {
	return tracing.WithParent(ctx, readTrace(r)), nil
}

// ExtractToWorkflow reads the span that a workflow is a part of.
func (tracePropagator) ExtractToWorkflow(ctx workflow.Context, r workflow.HeaderReader) (workflow.Context, error) {
	parent := readTrace(r)
	if parent == "" {
		return ctx, nil
	}
	sc := trace.SpanContextFromContext(tracing.WithParent(context.Background(), parent))
	return workflow.WithValue(ctx, traceKey{}, sc), nil
}

// readTrace is the span that a header names. What others wrote there is no reason to refuse
// a workflow: it reads as none.
func readTrace(r workflow.HeaderReader) (parent string) {
	if p, ok := r.Get(traceField); ok && converter.GetDefaultDataConverter().FromPayload(p, &parent) != nil {
		return ""
	}
	return parent
}

// tracer makes spans of the runs of workflows and of the activities of traces that are
// sampled. Queries, signals and updates have none, and nor has the wait for a release.
type tracer struct {
	interceptor.InterceptorBase
	spans trace.TracerProvider
}

// InterceptActivity makes the span of an activity.
func (t *tracer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &activityTracer{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, spans: t.spans}
}

// InterceptWorkflow makes the span of a run.
func (t *tracer) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &workflowTracer{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, spans: t.spans}
}

type activityTracer struct {
	interceptor.ActivityInboundInterceptorBase
	spans trace.TracerProvider
}

// untraced are activities that do nothing but wait, and sending those that make an
// attempt; others have spans of their own names.
const (
	untraced = "AwaitRelease"
	sending  = "Send"
)

// ExecuteActivity runs the activity in its span.
func (t *activityTracer) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if !trace.SpanContextFromContext(ctx).IsSampled() || info.ActivityType.Name == untraced {
		return t.Next.ExecuteActivity(ctx, in)
	}
	name := info.ActivityType.Name
	if name == sending {
		name = "attempt"
	}
	ctx, span := tracing.Begin(ctx, t.spans, name, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		tracing.Batch.String(info.WorkflowExecution.ID), tracing.Run.String(info.WorkflowExecution.RunID), tracing.Activity.String(info.ActivityID),
	))
	defer tracing.End(span)
	out, err := t.Next.ExecuteActivity(ctx, in)
	if err != nil {
		tracing.Fail(span)
	}
	return out, err
}

type workflowTracer struct {
	interceptor.WorkflowInboundInterceptorBase
	spans trace.TracerProvider
}

// ExecuteWorkflow makes the run's span when it ends, with its begin. Until then, which may
// be months on several workers, its parts know it by an id that follows from the run. A
// replay makes none. A worker that dies as the run ends may make it twice, with the same
// id.
func (t *workflowTracer) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	parent, ok := ctx.Value(traceKey{}).(trace.SpanContext)
	if !ok || !parent.IsSampled() {
		return t.Next.ExecuteWorkflow(ctx, in)
	}
	info := workflow.GetInfo(ctx)
	own := tracing.Derived(parent, info.WorkflowExecution.RunID)
	out, err := t.Next.ExecuteWorkflow(workflow.WithValue(ctx, traceKey{}, own), in)
	if workflow.IsReplaying(ctx) {
		return out, err
	}
	outer := trace.ContextWithRemoteSpanContext(context.Background(), parent)
	_, span := tracing.Begin(tracing.As(outer, own), t.spans, info.WorkflowType.Name,
		trace.WithTimestamp(info.WorkflowStartTime), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(runAttributes(info)...))
	var again *workflow.ContinueAsNewError
	if err != nil && !errors.As(err, &again) && !temporal.IsCanceledError(err) {
		tracing.Fail(span)
	}
	span.End(trace.WithTimestamp(workflow.Now(ctx)))
	return out, err
}

func runAttributes(info *workflow.Info) []attribute.KeyValue {
	return []attribute.KeyValue{tracing.Batch.String(info.WorkflowExecution.ID), tracing.Run.String(info.WorkflowExecution.RunID)}
}
