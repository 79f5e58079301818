package server

import (
	"errors"
	"sync/atomic"

	"go.temporal.io/server/common/persistence"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// quiet keeps a server's own chatter out of the log of a program that embeds it.
func quiet(l *zap.Logger, level zap.AtomicLevel, stopping *atomic.Bool) *zap.Logger {
	return l.Named("temporal").WithOptions(zap.IncreaseLevel(level), zap.AddStacktrace(zap.FatalLevel),
		zap.WrapCore(func(c zapcore.Core) zapcore.Core { return &closing{c, stopping} }))
}

// closing leaves out what is no error: a call that its client gives up just as it is
// answered, and, in a server that stops, queues that note how far they are and find that
// the shard was closed just before.
type closing struct {
	zapcore.Core
	stopping *atomic.Bool
}

// With adds fields.
func (c *closing) With(fields []zapcore.Field) zapcore.Core {
	return &closing{c.Core.With(fields), c.stopping}
}

// Check takes an entry of a level that is logged.
func (c *closing) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return to
	}
	return to.AddCore(e, c)
}

// Write writes an entry.
func (c *closing) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType && c.harmless(err) {
			return nil
		}
	}
	return c.Core.Write(e, fields)
}

// givenUp is what gRPC says when a trailer is set on a call that has ended; the error
// itself is in an internal package.
const givenUp = "transport: SendHeader called multiple times"

func (c *closing) harmless(err error) bool {
	var closed *persistence.ShardOwnershipLostError
	if errors.As(err, &closed) {
		return c.stopping.Load()
	}
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.Internal && st.Message() == givenUp
}
