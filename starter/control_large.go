package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/starter/internal/large"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

// cancelNamed cancels messages of a large batch that runs. Their names stand in the
// store first, from which on nothing that has yet to be read sends them; then those are
// asked who have them. The batch's own workflow hears nothing of it.
func (s *Starter) cancelNamed(ctx context.Context, ref Ref, dir string, q message.CancelRequest) (message.CancelResult, error) {
	defer s.changed(ref)
	res, err := s.large.Cancel(ctx, naming(dir, q, s.o.Now().UnixMilli(), uuid.NewString()), s.lookAfter(ref, true))
	switch {
	case errors.Is(err, ErrNoWorker):
		return unconfirmed(ref, err)
	case errors.Is(err, ErrUnreachable):
		return res, fmt.Errorf("cancel batch %s: %w", ref.ID, ErrMayHaveChanged)
	}
	return res, err
}

func naming(dir string, q message.CancelRequest, at int64, id string) large.Naming {
	n := large.Naming{Dir: dir, Reason: message.Clip(q.Reason, message.MaxDetail), At: at, ID: id}
	for _, id := range q.Messages {
		_, i, _ := message.ParseID(id)
		n.Indexes = append(n.Indexes, i)
	}
	return n
}

// maxLeft is how many messages one signal names at most.
const maxLeft = 20_000

// lookAfter tells how a batch stands after names were written. Where no worker answers it
// leaves the names as signals for those that run already, if it should.
func (s *Starter) lookAfter(ref Ref, leave bool) large.ReadView {
	return func(ctx context.Context, written message.Cancellations) (*large.View, error) {
		st, err := s.queryStatus(ctx, ref, true, server.HistoryPosition{})
		if err == nil {
			return s.viewOf(ref, st), nil
		}
		if !leave || !errors.Is(err, ErrNoWorker) || len(written) == 0 {
			return nil, err
		}
		d, derr := s.server.Describe(ctx, ref)
		switch {
		case derr != nil:
			return nil, derr
		case d.Full:
			return nil, fmt.Errorf("cancel batch %s: %w: no worker answers, and its history leaves no room for more signals: cancel all of it, or some when a worker is back", ref.ID, ErrRefused)
		}
		key := message.KeyOf(WorkflowID(ref))
		left := map[string][]string{} // ids by reason
		for _, c := range written {
			left[c.Reason] = append(left[c.Reason], key.MessageID(c.Index))
		}
		for reason, all := range left {
			for ids := range slices.Chunk(all, maxLeft) {
				if lerr := s.leave(ctx, ref, contract.ControlCancel, message.CancelRequest{Reason: reason, Messages: ids}); lerr != nil {
					return nil, lerr
				}
			}
		}
		return nil, err
	}
}

// ControlSegments brings controls of a large batch to the workflows of its segments. It is
// what the activity of the same name does, and can be repeated.
func (s *Starter) ControlSegments(ctx context.Context, in contract.ControlSegmentsInput) (contract.ControlSegmentsResult, error) {
	return s.large.ControlSegments(ctx, in), nil
}

// CancelMessages cancels messages of a large batch by name, as Cancel does. It is what the
// activity of the same name does, and can be repeated.
func (s *Starter) CancelMessages(ctx context.Context, in contract.CancelMessagesInput) (contract.CancelMessagesResult, error) {
	res := contract.CancelMessagesResult{V: message.Version, Results: make([]message.CancelResult, len(in.Requests))}
	ref, ok := server.ParseWorkflowID(in.Batch)
	if !ok {
		return res, server.Invalid("workflow %q is no batch", in.Batch)
	}
	if s.o.Store == nil {
		return res, fmt.Errorf("batch %s: %w", ref.ID, ErrNoStore)
	}
	d, err := s.server.DescribeOrStored(ctx, ref)
	if err != nil {
		return res, err
	}
	group, gctx := errgroup.WithContext(ctx)
	for k, q := range in.Requests {
		group.Go(func() (err error) {
			n := naming(d.Memo.Dir, q, in.At, fmt.Sprintf("names-%d-%d", in.Call, k))
			res.Results[k], err = s.large.Cancel(gctx, n, s.lookAfter(ref, false))
			return err
		})
	}
	return res, group.Wait()
}

// states are those of messages of a large batch; nil where they cannot be read.
func (s *Starter) states(ctx context.Context, ref Ref, ids []string) map[string]message.State {
	var states map[string]message.State
	v, err := s.view(ctx, ref)
	if err == nil {
		states, err = v.States(ctx, ids)
	}
	if err != nil {
		s.o.Log.Warn("the messages of a canceled batch cannot be listed", zap.String("batch_id", ref.ID), zap.Error(err))
	}
	return states
}
