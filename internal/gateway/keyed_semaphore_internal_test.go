package gateway

// These tests are inside the package because nothing outside of it has keyed gates.

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestFourChangesOfABatchAreUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var k keyedSemaphore[string]
		inside := make(chan func(), 10)
		for range 6 {
			go func() {
				done, err := k.enter(t.Context(), "a")
				if err == nil {
					inside <- done
				}
			}()
		}
		synctest.Wait()
		require.Len(t, inside, maxControls)
		done, err := k.enter(t.Context(), "b")
		require.NoError(t, err, "other batches do not wait")
		done()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = k.enter(ctx, "a")
		require.ErrorIs(t, err, context.Canceled)
		for range 6 {
			(<-inside)()
		}
		synctest.Wait()
		require.Empty(t, k.slots, "nothing is kept of who has left")
	})
}
