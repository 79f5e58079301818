package gateway_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// listen serves a bed's gateway until leave is called or the test ends, and returns
// its address.
func listen(t *testing.T, b *bed) (address string, leave func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, leave := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- b.g.Serve(ctx, l) }()
	t.Cleanup(func() {
		leave()
		require.NoError(t, <-served)
	})
	return "http://" + l.Addr().String(), leave
}
