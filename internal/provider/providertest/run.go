package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/provider"
)

// Run holds a sender to the table of answers, and checks that it makes each
// request once, keeps secrets out of errors, and passes through what it does not
// know.
func Run(t *testing.T, newSender New, h Hooks) {
	t.Helper()
	s := suite{newSender, h}
	table := h.table()
	names := map[string]bool{slowHeader: true, slowBody: true, refused: true, givenUp: true}
	for _, r := range table {
		names[r.name] = true
	}
	for name, o := range h.Overrides {
		require.True(t, names[name], "override %q is no row of the table", name)
		require.NotEmpty(t, o.Source, "override %q names no document", name)
	}
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) { s.row(t, r) })
	}
	t.Run(slowHeader, s.slowHeader)
	t.Run(slowBody, s.slowBody)
	t.Run(refused, s.refused)
	t.Run(givenUp, s.givenUp)
	t.Run("unknown fields pass through", s.passThrough)
	t.Run("senders are safe for concurrent use", s.concurrent)
	if h.CarriesID {
		t.Run("the request carries our id", s.carriesID)
	}
}

// The rows that are no single answer.
const (
	slowHeader = "slow header"
	slowBody   = "slow body"
	refused    = "connection refused"
	givenUp    = "given up before it left"
)

type suite struct {
	newSender New
	Hooks
}

func (s suite) row(t *testing.T, r row) {
	t.Parallel()
	srv := serve(t, s.Hooks, r.answer)
	receipt, err := s.newSender(t, srv.URL).Send(t.Context(), s.Message)
	e := s.check(t, r.name, r.kind, receipt, err)
	require.Len(t, srv.got(), 1, "the request is made exactly once")
	if e == nil {
		return
	}
	if r.code != "" {
		require.Equal(t, r.code, e.Code)
	}
	require.GreaterOrEqual(t, e.RetryAfter, r.waitMin)
	require.LessOrEqual(t, e.RetryAfter, r.waitMax)
}

// check compares what came of a Send with a row and returns its error, if any.
func (s suite) check(t *testing.T, name string, want provider.Kind, receipt message.Receipt, err error) *provider.Error {
	t.Helper()
	overridden := false
	if o, ok := s.Overrides[name]; ok {
		require.NotEqual(t, want, o.Kind, "the override says what the table says")
		want, overridden = o.Kind, true
	}
	if want == "" {
		require.NoError(t, err)
		if !overridden {
			require.Equal(t, s.ProviderID, receipt.ProviderID)
		}
		return nil
	}
	var e *provider.Error
	require.ErrorAs(t, err, &e)
	require.Same(t, e, err, "every error is an *Error itself")
	require.Equal(t, want, e.Kind, "%v", e)
	require.Empty(t, receipt)
	s.checkText(t, e)
	return e
}

func (s suite) checkText(t *testing.T, e *provider.Error) {
	t.Helper()
	require.NotEmpty(t, e.Code)
	require.NotEmpty(t, e.Detail)
	require.LessOrEqual(t, len(e.Code), message.MaxCode)
	require.LessOrEqual(t, len(e.Detail), message.MaxDetail)
	for _, secret := range s.Secrets {
		require.NotContains(t, e.Error(), secret)
		require.NotContains(t, fmt.Sprintf("%+v", *e), secret)
	}
}

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	once sync.Once
	done chan struct{}
}

func expireable(t *testing.T) *expiring {
	return &expiring{Context: t.Context(), done: make(chan struct{})}
}

func (e *expiring) expire()               { e.once.Do(func() { close(e.done) }) }
func (e *expiring) Done() <-chan struct{} { return e.done }

func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func (s suite) slowHeader(t *testing.T) {
	t.Parallel()
	s.slow(t, slowHeader, func(srv *server, _ http.ResponseWriter, r *http.Request) {
		srv.drain(r)
		srv.came <- struct{}{}
		<-srv.closing
	})
}

func (s suite) slowBody(t *testing.T) {
	t.Parallel()
	s.slow(t, slowBody, func(srv *server, w http.ResponseWriter, r *http.Request) {
		srv.drain(r)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
		srv.came <- struct{}{}
		<-srv.closing
	})
}

// slow lets the deadline pass once the server has the request.
func (s suite) slow(t *testing.T, name string, answer func(*server, http.ResponseWriter, *http.Request)) {
	srv := serve(t, s.Hooks, answer)
	ctx := expireable(t)
	go func() {
		select {
		case <-srv.came:
		case <-srv.closing:
		}
		ctx.expire()
	}()
	receipt, err := s.newSender(t, srv.URL).Send(ctx, s.Message)
	if err != nil {
		// A sender that takes a status alone for acceptance may still see the
		// deadline pass before the status: then the table holds for it too.
		name = ""
	}
	if e := s.check(t, name, provider.Ambiguous, receipt, err); e != nil {
		require.Equal(t, provider.CodeTimeout, e.Code)
	}
	require.Len(t, srv.got(), 1)
}

func (s suite) refused(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	receipt, err := s.newSender(t, "http://"+l.Addr().String()).Send(t.Context(), s.Message)
	_ = s.check(t, refused, provider.Unavailable, receipt, err)
}

func (s suite) givenUp(t *testing.T) {
	t.Parallel()
	srv := serve(t, s.Hooks, s.accept)
	sender := s.newSender(t, srv.URL)
	ctx := expireable(t)
	ctx.expire()
	receipt, err := sender.Send(ctx, s.Message)
	_ = s.check(t, givenUp, provider.Unavailable, receipt, err)
	require.Empty(t, srv.got(), "nothing leaves after the deadline")
}

func (s suite) sent(t *testing.T) request {
	t.Helper()
	srv := serve(t, s.Hooks, func(srv *server, w http.ResponseWriter, r *http.Request) {
		srv.drain(r)
		s.accept(srv, w, r)
	})
	_, err := s.newSender(t, srv.URL).Send(t.Context(), s.Message)
	require.NoError(t, err)
	require.Len(t, srv.got(), 1)
	return srv.got()[0]
}

func (s suite) carriesID(t *testing.T) {
	t.Parallel()
	r := s.sent(t)
	var header bytes.Buffer
	require.NoError(t, r.header.Write(&header))
	require.Contains(t, header.String()+string(r.body), s.Message.ID)
}

const unknownKey = "x_unknown"

func (s suite) passThrough(t *testing.T) {
	t.Parallel()
	want := find(s.Message.Content, unknownKey)
	require.NotNil(t, want, "the message of the test has no key %q", unknownKey)
	got := find(s.sent(t).body, unknownKey)
	require.NotNil(t, got, "the request has no key %q", unknownKey)
	require.Equal(t, canonical(t, want), canonical(t, got))
}

func (s suite) concurrent(t *testing.T) {
	t.Parallel()
	srv := serve(t, s.Hooks, s.accept)
	sender := s.newSender(t, srv.URL)
	const n = 16
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := sender.Send(t.Context(), s.Message)
			errs <- err
		}()
	}
	var all error
	for range n {
		all = errors.Join(all, <-errs)
	}
	require.NoError(t, all)
	require.Len(t, srv.got(), n)
}

// find returns the value of a key anywhere in a JSON value.
func find(raw json.RawMessage, key string) json.RawMessage {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(raw, &object) == nil {
		if v, ok := object[key]; ok {
			return v
		}
		for _, v := range object {
			if found := find(v, key); found != nil {
				return found
			}
		}
	} else if json.Unmarshal(raw, &list) == nil {
		for _, v := range list {
			if found := find(v, key); found != nil {
				return found
			}
		}
	}
	return nil
}

// canonical writes a JSON value so that equal ones are equal texts; numbers keep
// every digit.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
