package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/internal/encryption"
	"volley/workflows/contract"
)

// The canary is what tells a process whether its keyset is the right one before it reads
// or writes anything else: the memo of a workflow that never does anything, sealed with the
// primary key. It needs no store and no rights beyond starting a workflow.
const (
	canaryType = "Keyset"
	canaryMemo = "canary"
	canaryText = "whoever can read this has the key"
	// canaryDelay is when the workflow would have its first task. Until then there is
	// none that would wait in a queue.
	canaryDelay = 10 * 365 * 24 * time.Hour
	// canaryTries is how often two that seal it at once may get into each other's way.
	canaryTries = 3
)

// CheckKeyset says what is wrong with the keyset of o, with which the client was made, for
// the batches of a queue; nil is nothing. The first to have a keyset seals the canary, which switches encryption on, and
// whoever has a newer primary key than that of the canary seals it anew. An error that is
// an encryption.ErrNoKey or ErrDamaged means that this process can read none of it.
func CheckKeyset(ctx context.Context, c client.Client, queue string, o Options) error {
	opts, err := ClientOptions(o)
	if err != nil {
		return err
	}
	k := canary{client: c, queue: queue, namespace: opts.Namespace, keyset: o.Keyset}
	for range canaryTries {
		sealed, open, err := k.read(ctx)
		switch {
		case err != nil && o.Keyset.IsOff():
			return nil // whoever cannot look cannot know; what is sealed is not read anyway
		case err != nil:
			return fmt.Errorf("look which key is in use: %w", err)
		case sealed == nil && o.Keyset.IsOff():
			return nil
		case sealed == nil:
			if err := k.seal(ctx, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING); err != nil {
				return err
			}
			continue // another may have been first
		}
		if err := k.check(sealed); err != nil {
			return err
		}
		if open && !k.isOld(sealed) {
			return nil
		}
		if err := k.seal(ctx, enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING); err != nil {
			return err
		}
	}
	return nil
}

// LookAtKeyset is CheckKeyset without a change: it seals nothing.
func LookAtKeyset(ctx context.Context, c client.Client, queue string, o Options) error {
	opts, err := ClientOptions(o)
	if err != nil {
		return err
	}
	k := canary{client: c, queue: queue, namespace: opts.Namespace, keyset: o.Keyset}
	sealed, _, err := k.read(ctx)
	if err != nil {
		return fmt.Errorf("look which key is in use: %w", err)
	}
	if sealed == nil {
		return nil
	}
	return k.check(sealed)
}

// canary is the workflow, as one process sees it.
type canary struct {
	client           client.Client
	queue, namespace string
	keyset           *encryption.Keyset
}

// read is the sealed memo; nil is none. open means that the workflow is not closed, and so
// not forgotten after a while.
func (k canary) read(ctx context.Context) (sealed *commonpb.Payload, open bool, err error) {
	d, err := k.client.DescribeWorkflowExecution(ctx, contract.KeysetID(k.queue), "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	info := d.GetWorkflowExecutionInfo()
	p := info.GetMemo().GetFields()[canaryMemo]
	if !IsSealed(p) {
		return nil, false, nil
	}
	return p, info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// seal starts the workflow with a memo, which the client seals.
func (k canary) seal(ctx context.Context, conflict enumspb.WorkflowIdConflictPolicy) error {
	_, err := k.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: contract.KeysetID(k.queue), TaskQueue: contract.KeysetID(k.queue), StartDelay: canaryDelay, WorkflowIDConflictPolicy: conflict,
		Memo: map[string]any{canaryMemo: canaryText},
	}, canaryType)
	if err != nil {
		return fmt.Errorf("seal the canary: %w", err)
	}
	return nil
}

// check says why the memo cannot be opened.
func (k canary) check(sealed *commonpb.Payload) error {
	id, _ := encryption.SealedWith(sealed.GetData())
	if k.keyset.IsOff() {
		return fmt.Errorf("the batches of task queue %s are encrypted with key %d, and this process has no keyset (encryption.keyset in the configuration): %w",
			k.queue, id, encryption.ErrNoKey)
	}
	if _, err := NewCodec(k.keyset, k.namespace).Decode([]*commonpb.Payload{sealed}); err != nil {
		return fmt.Errorf("the batches of task queue %s are encrypted with key %d, which this process's %s cannot open: %w", k.queue, id, k.keyset, err)
	}
	return nil
}

// isOld reports whether a key sealed it that stands before the primary in the keyset, to
// which new keys are appended. So no process puts an older key in a newer one's place.
func (k canary) isOld(sealed *commonpb.Payload) bool {
	id, _ := encryption.SealedWith(sealed.GetData())
	keys := k.keyset.Keys()
	at := func(id uint32) int {
		return slices.IndexFunc(keys, func(key encryption.Key) bool { return key.ID == id })
	}
	return at(id) < at(k.keyset.Primary())
}
