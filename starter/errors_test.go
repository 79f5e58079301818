package starter_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// reads are all calls that need an existing batch.
func reads(s *starter.Starter, ref starter.Ref) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"status":  func(ctx context.Context) error { _, err := s.Status(ctx, ref); return err },
		"message": func(ctx context.Context) error { _, err := s.Message(ctx, ref, "0"); return err },
		"messages": func(ctx context.Context) error {
			_, err := s.Messages(ctx, ref, message.PageQuery{})
			return err
		},
		"cancel": func(ctx context.Context) error { _, err := s.Cancel(ctx, ref, message.CancelRequest{}); return err },
		"pause":  func(ctx context.Context) error { _, err := s.Pause(ctx, ref); return err },
		"resume": func(ctx context.Context) error { _, err := s.Resume(ctx, ref); return err },
		"reschedule": func(ctx context.Context) error {
			_, err := s.Reschedule(ctx, ref, message.RescheduleRequest{SendAfter: "1h"})
			return err
		},
	}
}

func TestABatchThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	calls := reads(s, starter.Ref{ID: "absent"})
	calls["wait"] = func(ctx context.Context) error { _, err := s.Wait(ctx, starter.Ref{ID: "absent"}); return err }
	calls["redrive"] = func(ctx context.Context) error {
		_, err := s.Redrive(ctx, starter.Ref{ID: "absent"}, starter.RedriveQuery{})
		return err
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, call(t.Context()), starter.ErrNotFound)
		})
	}
}

func TestABatchWhoseWorkerIsAwaySaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStarter(t, starter.Options{Wait: short})
		start(t, s, request("a", 1))
		for name, call := range reads(s, a) {
			require.ErrorIs(t, call(t.Context()), starter.ErrNoWorker, name)
		}
	})
}

func TestAServerThatIsAwayIsUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := newStarter(t, starter.Options{Wait: short})
		start(t, s, request("a", 1))
		f.server.Stop()
		calls := reads(s, a)
		calls["list"] = func(ctx context.Context) error { _, err := s.List(ctx, starter.ListQuery{}); return err }
		calls["missing"] = func(ctx context.Context) error { _, err := s.Missing(ctx); return err }
		for name, call := range calls {
			require.ErrorIs(t, call(t.Context()), starter.ErrUnreachable, name)
		}
	})
}

// A server whose database is slow does not find a namespace that is there.
func TestAServerThatDoesNotFindItsNamespaceIsUnreachable(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{Wait: short})
	start(t, s, request("a", 1))
	f.noName = true
	calls := reads(s, a)
	calls["start"] = func(ctx context.Context) error { _, err := s.Start(ctx, request("b", 1)); return err }
	for name, call := range calls {
		err := call(t.Context())
		require.ErrorIs(t, err, starter.ErrUnreachable, name)
		require.ErrorContains(t, err, "finds no such namespace", name)
	}
}

func TestTheCallersOwnDeadlineIsNoWorkersFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStarter(t, starter.Options{})
		start(t, s, request("a", 1))
		ctx, cancel := context.WithTimeout(t.Context(), short)
		defer cancel()
		_, err := s.Status(ctx, a)
		require.NotErrorIs(t, err, starter.ErrUnreachable)
		require.Error(t, err)
	})
}

func TestBadReferencesAreInvalid(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	for name, call := range reads(s, starter.Ref{ID: "../x"}) {
		require.ErrorIs(t, call(t.Context()), starter.ErrInvalid, name)
	}
	for name, call := range reads(s, starter.Ref{Tenant: "default/a", ID: "x"}) {
		require.ErrorIs(t, call(t.Context()), starter.ErrInvalid, name)
	}
}
