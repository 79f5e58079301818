package starter

import (
	"context"
	"errors"
	"fmt"

	"volley/activities"
	"volley/internal/message"
)

// Changes is a Starter as the delivery of callbacks reads it.
type Changes struct{ s *Starter }

var _ activities.Changes = Changes{}

// Changes returns what the activity Deliver reads batches through.
func (s *Starter) Changes() Changes { return Changes{s} }

// Status is Starter.Status; a batch that is not there is activities.ErrNoBatch.
func (c Changes) Status(ctx context.Context, tenant, id string) (message.Status, error) {
	st, err := c.s.Status(ctx, Ref{Tenant: tenant, ID: id})
	return st, noBatch(err)
}

// Messages is Starter.Messages, with the same difference.
func (c Changes) Messages(ctx context.Context, tenant, id string, q message.PageQuery) (message.Page, error) {
	page, err := c.s.Messages(ctx, Ref{Tenant: tenant, ID: id}, q)
	return page, noBatch(err)
}

// Asked opens the request of a batch, to read single messages of it.
func (c Changes) Asked(ctx context.Context, tenant, id string) (func(context.Context, int) (message.Template, message.Message, error), error) {
	ref := Ref{Tenant: tenant, ID: id}
	v, err := c.s.view(ctx, ref)
	switch {
	case err != nil:
		return nil, noBatch(err)
	case v != nil:
		return v.Content, nil
	}
	in, err := c.s.server.Input(ctx, ref)
	if err != nil {
		return nil, noBatch(err)
	}
	return func(_ context.Context, i int) (message.Template, message.Message, error) {
		if i < 0 {
			return in.Batch.Template, message.Message{}, nil
		}
		if i >= len(in.Batch.Messages) {
			return message.Template{}, message.Message{}, fmt.Errorf("message %d of batch %s: %w", i, id, ErrNotFound)
		}
		return in.Batch.Template, in.Batch.Messages[i], nil
	}, nil
}

// noBatch tells the activity that a batch is gone.
func noBatch(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %w", activities.ErrNoBatch, err)
	}
	return err
}
