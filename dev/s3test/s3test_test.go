package s3test_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/dev/s3test"
	"volley/internal/message"
	"volley/internal/store"
)

// opened is a store on a server, without anything in memory of what it read.
func opened(t *testing.T, s *s3test.Server) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), s.URL(), store.Options{CacheBytes: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func TestRequestsAtOnceAreOneRound(t *testing.T) {
	const dir = "default/2026-11-20/b~00000000"
	s := s3test.Start(t)
	st := opened(t, s)
	keep := func() {
		require.NoError(t, st.KeepResult(t.Context(), dir, &message.Result{V: message.Version}))
	}
	keep()
	require.Equal(t, s3test.Load{Requests: 1, By: map[string]int{"PUT": 1}, Peak: 1}, s.Load())
	s.SetDelay(s3test.Delay)
	s.Reset()
	for range 3 {
		keep()
	}
	require.Equal(t, s3test.Load{Requests: 3, By: map[string]int{"PUT": 3}, Peak: 1, Rounds: 3}, s.Load())
	s.Reset()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			_, err := st.Result(t.Context(), dir)
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.Equal(t, s3test.Load{Requests: 10, By: map[string]int{"GET": 10}, Peak: 10, Rounds: 1}, s.Load())
}
