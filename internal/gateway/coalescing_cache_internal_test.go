package gateway

// These tests are inside the package because nothing outside of it shares answers.

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestAQuestionIsAskedOnceForAllWhoAskIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := newCoalescingCache(func(context.Context, string) (int, error) {
			asked++
			time.Sleep(time.Second)
			return asked, nil
		})
		answers := make(chan int, 10)
		for range cap(answers) {
			go func() { n, _ := s.get(t.Context(), "k"); answers <- n }()
		}
		for range cap(answers) {
			require.Equal(t, 1, <-answers)
		}
		n, err := s.get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, 1, n, "an answer serves for a while")
		time.Sleep(fresh)
		synctest.Wait()
		require.Empty(t, s.kept, "and is not kept beyond that")
		n, _ = s.get(t.Context(), "k")
		require.Equal(t, 2, n)
		s.forget("k")
		n, _ = s.get(t.Context(), "k")
		require.Equal(t, 3, n, "what has changed is asked anew")
	})
}

func TestAnAnswerToWhatHasChangedMeanwhileIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := newCoalescingCache(func(context.Context, string) (int, error) {
			asked++
			n := asked
			time.Sleep(fresh / 5)
			return n, nil
		})
		first := make(chan int)
		go func() { n, _ := s.get(t.Context(), "k"); first <- n }()
		synctest.Wait()
		s.forget("k")
		require.Equal(t, 1, <-first)
		n, _ := s.get(t.Context(), "k")
		require.Equal(t, 2, n)
		time.Sleep(fresh - fresh/5) // until the first answer is no longer fresh
		synctest.Wait()
		n, _ = s.get(t.Context(), "k")
		require.Equal(t, 2, n, "which does not end the second")
	})
}

func TestOneWhoLeavesDoesNotTakeTheAnswerWithThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCoalescingCache(func(ctx context.Context, _ string) (int, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Second):
				return 7, nil
			}
		})
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { _, err := s.get(ctx, "k"); first <- err }()
		synctest.Wait()
		second := make(chan int, 1)
		go func() { n, _ := s.get(t.Context(), "k"); second <- n }()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-first, context.Canceled)
		require.Equal(t, 7, <-second)
	})
}

func TestErrorsAreSharedAsAnswersAre(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := newCoalescingCache(func(context.Context, int) (int, error) { return 0, broken })
	_, err := s.get(t.Context(), 1)
	require.ErrorIs(t, err, broken)
}

func TestWhatRestsIsAskedLessOften(t *testing.T) {
	t.Parallel()
	require.Equal(t, fresh, freshStatus(message.Status{State: message.BatchRunning}))
	now := time.Now()
	for due, want := range map[time.Duration]time.Duration{time.Hour: freshRest, time.Second / 2: time.Second / 2, -time.Hour: fresh} {
		at := now.Add(due)
		require.Equal(t, want, freshStatus(message.Status{State: message.BatchScheduled, AsOf: now, NextDueAt: &at}))
	}
	require.Equal(t, freshPause, freshStatus(message.Status{State: message.BatchPaused}))
	require.Equal(t, freshEnd, freshStatus(message.Status{State: message.BatchCompleted}))
}
