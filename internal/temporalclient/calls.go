package temporalclient

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// TrackAnswers returns a context for calls to Temporal, and a function that reports
// whether one of them left this process without an answer that says whether the server
// did what was asked. It is false for calls that never had a connection and for those
// that the server refused. Only clients of Dial and ClientOptions are tracked; calls of
// others count as answered.
func TrackAnswers(ctx context.Context) (context.Context, func() bool) {
	t := &tracked{}
	return context.WithValue(ctx, trackedKey{}, t), t.lost.Load
}

type (
	trackedKey struct{}
	callKey    struct{}
)

// tracked are the calls of one context.
type tracked struct{ lost atomic.Bool }

// call is one request; the SDK makes several where one fails.
type call struct {
	of   *tracked
	sent atomic.Bool
}

// answers is told by gRPC what becomes of each request.
type answers struct{}

var _ stats.Handler = answers{}

// TagRPC marks a request that is tracked.
func (answers) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	t, ok := ctx.Value(trackedKey{}).(*tracked)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, callKey{}, &call{of: t})
}

// HandleRPC notes that a request was handed to a connection, and how it ended.
func (answers) HandleRPC(ctx context.Context, s stats.RPCStats) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	switch s := s.(type) {
	case *stats.OutHeader:
		c.sent.Store(true)
	case *stats.End:
		if c.sent.Load() && !conclusive(status.Code(s.Error)) {
			c.of.lost.Store(true)
		}
	}
}

// TagConn leaves connections as they are.
func (answers) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn has nothing to note.
func (answers) HandleConn(context.Context, stats.ConnStats) {}

// conclusive reports whether a status says that the server did what was asked, or that
// it did not. The others may also come from whoever is between the server and its
// database, or from a connection that broke.
func conclusive(code codes.Code) bool {
	switch code {
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated,
		codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented, codes.ResourceExhausted:
		return true
	case codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Aborted, codes.Internal, codes.Unavailable, codes.DataLoss:
	}
	return false
}
