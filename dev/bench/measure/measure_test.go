package measure_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/bench/measure"
)

func TestAPollEndsWithItsFault(t *testing.T) {
	t.Parallel()
	fault, asked := errors.New("no answer"), make(chan struct{})
	times := 0
	stop := measure.Poll(t.Context(), time.Millisecond, func(context.Context) error {
		if times++; times == 3 {
			close(asked)
			return fault
		}
		return nil
	})
	<-asked
	took, err := stop()
	require.ErrorIs(t, err, fault)
	require.Len(t, took, 2)
}

func TestAQuestionThatTheEndInterruptsDoesNotCount(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	stop := measure.Poll(t.Context(), time.Millisecond, func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	})
	<-asked
	took, err := stop()
	require.NoError(t, err)
	require.Empty(t, took)
}

func TestThePeakOfAProcessIsMoreThanNothing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		_, err := measure.PeakMemory(os.Getpid())
		require.Error(t, err, "only Linux says it")
		return
	}
	n, err := measure.PeakMemory(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, n, int64(1<<20))
	_, err = measure.PeakMemory(-1)
	require.Error(t, err)
}
