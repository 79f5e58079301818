package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/workflows/contract"
)

// batchRef is what a workflow's id says of its messages.
type batchRef struct {
	tenant, batch string
	key           message.Key
}

func batchRefOf(ctx context.Context) batchRef {
	tenant, batch, _ := message.ParseWorkflowID(activity.GetInfo(ctx).WorkflowExecution.ID)
	return batchRef{tenant: tenant, batch: batch, key: message.KeyOf(message.WorkflowID(tenant, batch))}
}

// outgoing is the message that an attempt is made at, with its content.
func (a *Activities) outgoing(ctx context.Context, in *contract.SendInput) (message.Outgoing, *contract.SendResult) {
	if fault := a.read(ctx, in); fault != nil {
		return message.Outgoing{}, fault
	}
	return outgoing(in, batchRefOf(ctx))
}

// outgoing fills in the message's content.
func outgoing(in *contract.SendInput, o batchRef) (message.Outgoing, *contract.SendResult) {
	content, text, err := in.Template.Render(&in.Message)
	if err != nil {
		code := message.CodeFormat
		var p *message.ParameterError
		var large *message.SizeError
		switch {
		case errors.As(err, &p):
			code = message.CodeParameter
		case errors.As(err, &large):
			code = message.CodeTooLong
		}
		return message.Outgoing{}, &contract.SendResult{Kind: string(provider.Invalid), Code: code, Detail: message.Clip(err.Error(), message.MaxDetail)}
	}
	m := message.Outgoing{
		ID: o.key.MessageID(in.Index), Batch: o.batch, Tenant: o.tenant, Dialect: in.Dialect, Index: in.Index,
		To: in.Message.To, Phone: in.Message.Phone, Region: in.Region, Addresses: in.Message.Addresses, Reference: in.Message.Reference, Metadata: in.Message.Metadata,
		Channels: in.Channels, Content: content, Text: text,
		Due: time.UnixMilli(in.Due), ExpiresAt: time.UnixMilli(in.Expires),
	}
	if m.Metadata == nil {
		m.Metadata = in.Metadata
	}
	return m, nil
}

// read gets the message of a large batch, with the template and the metadata of
// its batch; others have theirs with them.
func (a *Activities) read(ctx context.Context, in *contract.SendInput) *contract.SendResult {
	if in.Stored == nil {
		return nil
	}
	manifest, segment, fault := a.stored(ctx, in.Stored.Dir, in.Stored.Segment)
	if fault != nil {
		return fault
	}
	index, m, err := segment.Message(in.Stored.Pos)
	if err != nil || index != in.Index {
		return missingContent("the message is damaged in the store")
	}
	in.Template, in.Message, in.Metadata, in.Region = manifest.Batch.Template, m, manifest.Batch.Metadata, manifest.Batch.Region
	return nil
}

// stored reads the segment of a large batch.
func (a *Activities) stored(ctx context.Context, dir string, number int) (*message.Manifest, *store.Segment, *contract.SendResult) {
	if a.store == nil {
		return nil, nil, retryElsewhere(errNoStore.Error())
	}
	manifest, err := a.store.Manifest(ctx, dir)
	if errors.Is(err, store.ErrNotFound) {
		// Some worker has read it, so this one sees another store.
		return nil, nil, retryElsewhere("this worker's store does not have the batch")
	}
	var segment *store.Segment
	if err == nil {
		segment, err = a.store.Segment(ctx, dir, number)
	}
	if err != nil {
		return nil, nil, storeFault(err)
	}
	return manifest, segment, nil
}

var errNoStore = errors.New("this worker has no store")

// storeFault tells content that is gone from a store that cannot be reached now.
func storeFault(err error) *contract.SendResult {
	switch {
	case errors.Is(err, store.ErrAway):
		return retryElsewhere("the store is away")
	case errors.Is(err, store.ErrSealed):
		return retryElsewhere("this worker lacks the key of the message")
	case errors.Is(err, store.ErrNotFound):
		return missingContent("the message is not in the store")
	case errors.Is(err, store.ErrDamaged):
		return missingContent("the message is damaged in the store")
	}
	return retryElsewhere("the store did not answer")
}

// storeRetry is the wait before a message is tried again that could not be read.
const storeRetry = 5 * time.Second

// retryElsewhere is the answer of a worker that cannot read a message which another one,
// or it itself at another time, may read.
func retryElsewhere(detail string) *contract.SendResult {
	return &contract.SendResult{Kind: contract.KindNotStarted, Detail: detail, RetryAfter: storeRetry.Milliseconds()}
}

// missingContent is the end of a message whose content is gone.
func missingContent(detail string) *contract.SendResult {
	return &contract.SendResult{Kind: string(provider.Rejected), Code: message.CodeStore, Detail: detail}
}
