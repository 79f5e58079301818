package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/dev/bench/roles"
)

// sendBare sends a batch through the bare workflow.
func sendBare(ctx context.Context, b *environment, n int) (delivery, error) {
	return b.through(ctx, roles.BareName, n)
}

// sendChildren sends a batch with a child workflow for each message, a pool's worth
// of them at once: what most samples do.
func sendChildren(ctx context.Context, b *environment, n int) (delivery, error) {
	return b.through(ctx, roles.ChildrenName, n)
}

// through sends a batch through a workflow that has no more than it needs, with the
// priority and the fairness key that Volley sets.
func (b *environment) through(ctx context.Context, name string, n int) (delivery, error) {
	in := roles.Input{Pool: b.o.inFlight}
	for i := range n {
		in.Messages = append(in.Messages, roles.Message{To: roles.Recipient(i), Text: roles.Text()})
	}
	d := delivery{workflow: "bare-" + uuid.NewString()}
	began := time.Now()
	run, err := b.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: d.workflow, TaskQueue: roles.BareQueue, Priority: temporal.Priority{PriorityKey: 3, FairnessKey: d.workflow},
	}, name, in)
	if err != nil {
		return d, err
	}
	d.start = time.Since(began)
	var sent int
	d.status, err = asked(ctx, func(ctx context.Context) error {
		_, err := b.client.QueryWorkflow(ctx, d.workflow, "", roles.BareStatus)
		return err
	}, func(ctx context.Context) error { return run.Get(ctx, &sent) })
	d.total = time.Since(began)
	if err == nil && sent != n {
		err = errors.New("not all were sent")
	}
	return d, err
}
