package starter

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"volley/internal/tracing"
	"volley/starter/internal/server"
)

// launch starts the workflow of a batch all of which is known. fresh means that the caller
// gave neither an id nor a key, so that only the content can tell a repetition. What a large
// batch has in the store is removed where its workflow does not begin.
func (s *Starter) launch(ctx context.Context, r Request, fresh bool, l *launch) (Started, error) {
	if l.contents != nil {
		l.content = l.contents.Sum()
	}
	l.trace = tracing.Parent(ctx)
	same, err := s.propose(ctx, r, l)
	if err != nil {
		s.removeFolder(ctx, l.dir)
		return Started{}, err
	}
	if b := &l.in.Batch; r.Ask != nil && l.dir == "" { // the time of a question is not the messages' own
		b.CreatedAt = s.o.Now().UTC().Round(0)
		l.Due = launchOf(b, nil).addAll(b).Due
	}
	there, err := s.begin(ctx, l)
	unknown := errors.Is(err, ErrMayHaveStarted)
	if there != nil || err != nil && !unknown {
		s.removeFolder(ctx, l.dir)
	}
	switch {
	case unknown && fresh:
		s.repeats.keep(l.hash, l.ID)
	case fresh && hasOwnID(r) && errors.Is(err, ErrUnreachable):
		err = &MayHaveStartedError{Ref: l.ref, Cause: err} // which it repeats
	}
	if err != nil {
		return named(l.ID, err), err
	}
	if there != nil {
		return *there, nil
	}
	out := l.started()
	if l.dir != "" {
		opened, err := s.awaitOpened(ctx, l.ref, l.dir)
		if err != nil {
			return Started{}, err
		}
		out.Unopened = !opened
	}
	out.Same = same()
	return out, nil
}

// named is what a start that failed answers with: the id of a batch that is there, or may
// be.
func named(id string, err error) Started {
	if errors.Is(err, ErrMayHaveStarted) || errors.Is(err, ErrConflict) {
		return Started{ID: id}
	}
	return Started{}
}

// begin starts a batch's workflow. there is what the start of one with its id resolved
// that this call did not start; nil is that this one did.
func (s *Starter) begin(ctx context.Context, l *launch) (there *Started, err error) {
	var refused error
	lost, err := s.server.CallWithRedial(ctx, s.o.Wait, func(actx context.Context, c client.Client, again bool) error {
		err := s.execute(actx, c, l)
		var exists *serviceerror.WorkflowExecutionAlreadyStarted
		if !errors.As(err, &exists) {
			return err
		}
		d, err := s.server.DescribeBy(actx, c, l.ref)
		if err != nil || again && sameStart(&d, memoOf(l)) {
			return err // it is the one whose answer was lost
		}
		found, err := s.matched(ctx, c, l.ref, d, l.hash)
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		there, refused = &found, err
		return nil
	})
	switch {
	case lost:
		return nil, &MayHaveStartedError{Ref: l.ref, Cause: err}
	case err != nil:
		return nil, s.startError(ctx, l.ref, err)
	case there == nil && refused == nil:
		s.intake.Remember(l.ref, l.dir != "", l.trace)
	}
	return there, refused
}

// sameStart reports whether a batch was started with this memo, and by the same call.
func sameStart(d *server.Description, own server.Memo) bool {
	return d.Known && d.Memo.Hash == own.Hash && d.Memo.CreatedAt.Equal(own.CreatedAt) && d.Memo.Dir == own.Dir
}
