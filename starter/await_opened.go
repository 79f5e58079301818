package starter

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.uber.org/zap"

	"volley/internal/message"
	"volley/starter/internal/server"
	"volley/workflows/contract"
)

const (
	// pollFirst and pollMax are the pauses between two looks.
	pollFirst = 20 * time.Millisecond
	pollMax   = time.Second
	// openingWait is how much longer a worker may take that has said that it looks.
	openingWait = 10 * time.Second
)

// poll looks again and again, at growing intervals, until there is an answer. It reports
// false if ctx ended before.
func poll(ctx context.Context, answered func() bool) bool {
	for pause := pollFirst; !answered(); pause = min(2*pause, pollMax) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	return true
}

// awaitOpened waits until a worker has read the batch from the store, or for
// Options.Wait, and reports whether one has. It fails only when workers said that their
// store does not have it: then the batch is removed again. A store that cannot be read
// now may be later.
func (s *Starter) awaitOpened(ctx context.Context, ref Ref, dir string) (opened bool, err error) {
	began, patience := time.Now(), s.o.Wait
	poll(ctx, func() bool {
		var o message.Overview
		wctx, cancel := context.WithDeadline(ctx, began.Add(patience))
		defer cancel()
		res, qerr := s.server.Client.QueryWorkflow(wctx, WorkflowID(ref), "", contract.QueryOverview)
		if qerr == nil {
			qerr = res.Get(&o)
		}
		switch {
		case qerr != nil:
			s.o.Log.Debug("nobody could say whether the batch was opened", zap.String("batch_id", ref.ID), zap.Error(qerr))
		case o.Missing:
			err = s.takeBack(ctx, ref, dir, o.Fault)
		case o.Opened || o.Status.State.Closed():
			opened = true
		default: // a worker is there, and still looks for the batch
			patience = s.o.Wait + openingWait
		}
		return opened || err != nil || time.Since(began) >= patience
	})
	return opened, err
}

// takeBack removes a batch that no worker can read.
func (s *Starter) takeBack(ctx context.Context, ref Ref, dir, fault string) error {
	cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
	defer cancel()
	wid := WorkflowID(ref)
	err := s.server.Client.TerminateWorkflow(cctx, wid, "", "the worker cannot see the store that the batch was written to")
	if err == nil || server.IsNotFound(err) {
		err = s.server.Remove(cctx, wid, "")
	}
	s.removeFolder(ctx, dir)
	if err == nil {
		err = s.awaitDeleted(cctx, ref)
	}
	return errors.Join(fmt.Errorf("%w: the worker does not find the batch in the store that this process writes to%s; "+
		"both need the same store (%s)", ErrStoreNotShared, inStore(s.o.StoreURL), fault),
		server.Translate(ctx, "remove batch "+ref.ID, err))
}

// inStore names a store in a sentence, without credentials.
func inStore(raw string) string {
	u, err := url.Parse(raw)
	if raw == "" || err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return ", " + u.String()
}
