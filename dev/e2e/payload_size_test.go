package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"volley/dev/server"
	"volley/internal/message"
	"volley/starter"
)

// smallPayloads is a lab of one test on a server of its own that takes payloads of only so
// many bytes.
func smallPayloads(t *testing.T, way string, limit int) *lab {
	t.Helper()
	srv, err := server.Start(t.Context(), server.Options{Log: zap.NewNop(), BlobLimit: limit})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Stop()) })
	base := *shared
	base.server = srv
	require.NoError(t, base.connect(t.Context(), srv.Address(), nil))
	t.Cleanup(base.client.Close)
	return base.own(t, way, 0)
}

// A batch within Volley's own bounds that the server does not take is refused with a
// sentence that says what to do, and nothing of it has started; with a store it goes there.
func TestABatchThatTheServerFindsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	l := smallPayloads(t, "", 300<<10)
	r := l.request(t, l.served[0].Name, "a long text", notes(t, 900))
	bare := starter.New(l.client, starter.Options{TaskQueue: queueOf(t), DataConverter: l.converter, Wait: busy})
	_, err := bare.Start(t.Context(), r)
	var large *starter.PayloadError
	require.ErrorAs(t, err, &large)
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "raise limit.blobSize.error")
	_, err = l.starter.Status(t.Context(), r.Ref)
	require.ErrorIs(t, err, starter.ErrNotFound)

	l.serve(t)
	_, err = l.starter.Start(t.Context(), r)
	require.NoError(t, err)
	l.mode = groups
	status, rows := l.wait(t, r.Ref)
	require.Equal(t, 900, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
}
