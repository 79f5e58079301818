package server

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/persistence"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWhatIsNoErrorIsNotLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	var stopping atomic.Bool
	l := quiet(zap.New(core), zap.NewAtomicLevelAt(zap.ErrorLevel), &stopping).With(zap.String("component", "queue"))
	lost := fmt.Errorf("update: %w", &persistence.ShardOwnershipLostError{Msg: "shard closed"})
	l.Error("runs", zap.Error(lost))
	stopping.Store(true)
	l.Error("stops", zap.Error(lost))
	l.Error("stops otherwise", zap.Error(errors.New("disk full")))
	l.Error("a call was given up", zap.Error(status.Error(codes.Internal, givenUp)))
	l.Error("a call failed", zap.Error(status.Error(codes.Internal, "broken")))
	l.Warn("not a level that counts")
	var said []string
	for _, e := range logs.All() {
		said = append(said, e.Message)
		require.Equal(t, "queue", e.ContextMap()["component"])
	}
	require.Equal(t, []string{"runs", "stops otherwise", "a call failed"}, said)
}
