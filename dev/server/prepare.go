package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"volley/starter"
	"volley/workflows/contract"
)

// prepare waits until the server answers, and brings the namespace of an older
// file up to date: search attributes that it lacks, and the retention.
func prepare(ctx context.Context, address string, o Options) error {
	c, err := client.NewLazyClient(client.Options{
		HostPort:          address,
		Namespace:         o.Namespace,
		Logger:            sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	})
	if err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	defer c.Close()
	if err := poll(ctx, func(ctx context.Context) error { return ready(ctx, c) }); err != nil {
		return fmt.Errorf("temporal server at %s: %w", address, err)
	}
	if err := keepFor(ctx, c, o.Namespace, o.Retention); err != nil {
		return fmt.Errorf("retention of namespace %s: %w", o.Namespace, err)
	}
	if err := addSearchAttributes(ctx, c, o.Namespace); err != nil {
		return fmt.Errorf("search attributes of namespace %s: %w", o.Namespace, err)
	}
	return nil
}

// ready asks every part that a workflow needs: the frontend and its health,
// visibility, and by way of a workflow that does not exist, history.
func ready(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := c.CheckHealth(ctx, nil); err != nil {
		return err
	}
	if _, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{}); err != nil {
		return err
	}
	_, err := c.DescribeWorkflowExecution(ctx, "no-such-workflow", "")
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	return err
}

func keepFor(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	ws := c.WorkflowService()
	d, err := ws.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	if d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention {
		return nil
	}
	_, err = ws.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	return err
}

func addSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	op := c.OperatorService()
	known, err := op.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := starter.Attributes()
	for name := range known.GetCustomAttributes() {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := op.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	}); err != nil {
		return err
	}
	// The namespace is cached for a second; until then a start that sets them
	// would fail.
	return poll(ctx, func(ctx context.Context) error {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: contract.AttrState + " = 'none' AND " + contract.AttrContent + " = 'none'",
		})
		return err
	})
}
