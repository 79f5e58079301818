package large

import (
	"cmp"
	"context"
	"errors"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"volley/internal/message"
	"volley/internal/store"
	"volley/starter/internal/closeout"
	"volley/starter/internal/server"
)

// maxClosing is how many segments are closed out at once: each is replayed by a worker.
const maxClosing = 16

// Closed puts together what became of a large batch that Temporal ended: what its own
// workflow knew, and the ends of the segments that were running. The ledgers that these
// did not write, and the result, are kept in the store, so that this is done once. As long
// as the server has not ended all of them, the error is server.ErrStillRunning.
func (s *Reader) Closed(ctx context.Context, ref server.Ref, b *closeout.Batch) (message.Result, error) {
	what, dir := "batch "+ref.ID, b.Input.Large.Dir
	if s.Store == nil {
		return message.Result{}, server.Invalid("%s was ended by Temporal, and what became of its messages is in the store, of which none is configured", what)
	}
	res, err := s.Store.Result(ctx, dir)
	switch {
	case err == nil:
		return *res, nil
	case !store.Missing(err):
		return message.Result{}, server.StoreError(what, err)
	}
	o, err := b.Overview(ctx)
	if err != nil {
		return message.Result{}, err
	}
	v, rest := s.View(ref, o, false, s.Now()), b.Rest()
	v.Status.Total, v.Large.Rest = b.Input.Large.Total, cmp.Or(v.Large.Rest, &rest)
	if err := v.closeOut(ctx, rest); err != nil {
		return message.Result{}, err
	}
	if err := v.count(ctx); err != nil {
		return message.Result{}, err
	}
	st := b.Status(*v.Status.Counts, v.Status.Reasons, max(v.Status.Rev, rest.Finished<<RevShift)+1)
	st.StartedAt, st.SendAfter = v.Status.StartedAt, cmp.Or(v.Status.SendAfter, st.SendAfter)
	end := message.Result{V: message.Version, Status: st, Large: &v.Large}
	if err := s.Store.KeepResult(ctx, dir, &end); err != nil {
		s.Log.Warn("the result of a batch was not kept", zap.String("batch_id", ref.ID), zap.Error(err))
	}
	return end, nil
}

// closeOut finds out how the segments ended that had not by what the batch's own workflow
// knew. It may name some that the server never heard of. rest is what became of messages
// that never left.
func (v *View) closeOut(ctx context.Context, rest message.UnrunOutcome) error {
	m, err := v.Manifest(ctx)
	if err != nil {
		return err
	}
	states := make([]byte, len(m.Segments))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(maxClosing)
	for i := range states {
		switch states[i] = v.State(i + 1); states[i] {
		case message.SegmentWaiting:
			states[i] = message.SegmentNever
		case message.SegmentRunning, message.SegmentRetrying:
			group.Go(func() (err error) {
				states[i], err = v.closeOutSegment(gctx, i+1, rest)
				return err
			})
		}
	}
	err = group.Wait()
	v.Large.Segments = string(states)
	return err
}

// closeOutSegment finds out how the workflow with a number ended, counts its messages and
// says where its segment stands.
func (v *View) closeOutSegment(ctx context.Context, number int, rest message.UnrunOutcome) (byte, error) {
	res, err := v.s.closed.CloseOut(ctx, closeout.Segment{Ref: v.Ref, Dir: v.Large.Dir, Number: number, Rest: rest})
	if errors.Is(err, closeout.ErrNone) {
		// Either it never was, or Temporal has forgotten it.
		l, err := v.s.Store.Ledger(ctx, v.Large.Dir, number)
		switch {
		case store.Missing(err):
			return message.SegmentNever, nil
		case err != nil:
			return 0, server.StoreError("batch "+v.Ref.ID, err)
		}
		for i := range l.Records {
			res.Counts[l.Records[i].State]++
			res.Rev = max(res.Rev, l.Records[i].Rev)
		}
		res.Reasons = message.ReasonsOf(l.Records)
	} else if err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if res.Lost || res.Unread {
		own := message.UnrunOutcome{State: message.Failed, Code: message.CodeStore, Detail: "the store has lost its segment", Finished: rest.Finished}
		if res.Unread {
			own.State, own.Code, own.Detail = message.Expired, "expired", "its validity ran out while the store could not be read"
		}
		if v.Large.RestOf == nil {
			v.Large.RestOf = map[int]message.UnrunOutcome{}
		}
		v.Large.RestOf[number] = own
		return message.SegmentNever, nil
	}
	v.Large.Ended.Add(res.Counts)
	v.Large.Reasons.Add(res.Reasons)
	v.Status.Rev, v.Status.StartedAt = max(v.Status.Rev, res.Rev), earlier(v.Status.StartedAt, message.At(res.Started))
	return message.SegmentEnded, nil
}
