package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"
)

// CallWithRedial makes a call that may be repeated, and makes it again on another
// connection where it left and no answer came: the first connection may be dead without
// anybody's having noticed. Each call has up to wait. lost means that a call left and
// neither answer says what became of it.
func (s *Server) CallWithRedial(ctx context.Context, wait time.Duration, do func(ctx context.Context, c client.Client, again bool) error) (lost bool, err error) {
	lost, err = s.attempt(ctx, wait, func(ctx context.Context) error { return do(ctx, s.Client, false) })
	if !lost || ctx.Err() != nil {
		return lost, err
	}
	c := s.Client
	if s.Redial != nil {
		n := s.acquire(ctx, wait)
		defer s.release(n)
		select {
		case <-ctx.Done():
			return true, err
		case <-n.dialed:
		}
		if n.err != nil {
			return true, err
		}
		c = n.c
	}
	_, err = s.attempt(ctx, wait, func(ctx context.Context) error { return do(ctx, c, true) })
	return err != nil && !settled(err), err
}

// attempt makes a call once; lost means that it left and its answer did not come.
func (s *Server) attempt(ctx context.Context, wait time.Duration, do func(context.Context) error) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var unanswered func() bool
	if s.TrackAnswers != nil {
		ctx, unanswered = s.TrackAnswers(ctx)
	}
	err = do(ctx)
	switch {
	case err == nil || settled(err):
		return false, err
	case unanswered != nil:
		return unanswered(), err
	}
	return ctx.Err() != nil || errors.Is(err, ErrUnreachable) || slices.Contains(noAnswer, statusCode(err)), err
}

// noAnswer are the codes of calls that may have been carried out all the same.
var noAnswer = []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Aborted}

// settled reports whether an error is an answer that holds for every repetition of the
// call.
func settled(err error) bool {
	var app *temporal.ApplicationError
	code := statusCode(err)
	return code == codes.InvalidArgument || code == codes.NotFound && !noNamespace(err) || errors.As(err, &app)
}

// sharedConn is a connection beside that of the starter's own client. All who need one
// at the same time share it.
type sharedConn struct {
	dialed chan struct{} // closed once c or err is there
	c      client.Client
	err    error
	users  int
}

// acquire returns the other connection, which may have yet to be dialed. Whoever has it
// releases it.
func (s *Server) acquire(ctx context.Context, wait time.Duration) *sharedConn {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	if s.conn == nil {
		n := &sharedConn{dialed: make(chan struct{})}
		s.conn = n
		go func() {
			defer close(n.dialed)
			dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
			defer cancel()
			n.c, n.err = s.Redial(dctx)
		}()
	}
	s.conn.users++
	return s.conn
}

// release closes the other connection once nobody has it any more.
func (s *Server) release(n *sharedConn) {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	if n.users--; n.users > 0 {
		return
	}
	s.conn = nil
	go func() {
		if <-n.dialed; n.err == nil {
			n.c.Close()
		}
	}()
}
