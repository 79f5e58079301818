package temporalclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

const (
	// askEvery is how long after an answer a Watch asks again, and askAway how long after
	// none; askWait is how long an answer may take.
	askEvery = 10 * time.Second
	askAway  = time.Second
	askWait  = 5 * time.Second
	// sayEvery is how long after it was said that Temporal is away it is said again.
	sayEvery = 15 * time.Second
)

// ErrNoNamespace means that the server does not have the client's namespace.
var ErrNoNamespace = errors.New("temporal has no such namespace")

// Check asks once whether the server answers and has the namespace. The error is an
// ErrNoAnswer or an ErrNoNamespace. Credentials that may not ask are no error.
func Check(ctx context.Context, c client.Client, address, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var absent *serviceerror.NamespaceNotFound
	switch code := serviceerror.ToStatus(err).Code(); {
	case errors.As(err, &absent):
		return &namespaceError{address: address, namespace: namespace}
	case code == codes.Unavailable, code == codes.DeadlineExceeded, code == codes.Canceled, errors.Is(err, context.DeadlineExceeded):
		return &dialError{address: address, err: err}
	}
	return nil
}

// namespaceError names the namespace that is not there. It is an ErrNoNamespace.
type namespaceError struct{ address, namespace string }

func (e *namespaceError) Error() string {
	return fmt.Sprintf("temporal at %s has no namespace %q (TEMPORAL_NAMESPACE sets it)", e.address, e.namespace)
}

// Unwrap makes the error an ErrNoNamespace.
func (e *namespaceError) Unwrap() error { return ErrNoNamespace }

// DialLazily returns a client that connects when it is first used. Until there is a
// server every call fails. The caller closes it.
func DialLazily(o Options) (client.Client, error) {
	opts, err := ClientOptions(o)
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(opts)
	if err != nil {
		return nil, fmt.Errorf("connect to temporal at %s: %w", opts.HostPort, err)
	}
	return c, nil
}

// Watch notes whether Temporal is there, says when it goes away and comes back, and
// measures it: volley_temporal_away is 1 while the server does not answer or lacks the
// namespace, else 0.
type Watch struct {
	client             client.Client
	address, namespace string
	gauge              func(away bool)
	log                *zap.Logger

	reached chan struct{}
	first   sync.Once
	// away is since when it is, and said when that was last said; zero is not.
	away, said time.Time
}

// NewWatch returns a watch on a client of Dial or DialLazily with the same options.
func NewWatch(c client.Client, o Options) (*Watch, error) {
	opts, err := ClientOptions(o)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		client: c, address: opts.HostPort, namespace: opts.Namespace, log: cmp.Or(o.Log, zap.NewNop()),
		gauge: func(bool) {}, reached: make(chan struct{}),
	}
	if o.Metrics != nil {
		g := o.Metrics.Gauge("volley_temporal_away")
		w.gauge = func(away bool) {
			value := 0.0
			if away {
				value = 1
			}
			g.Update(value)
		}
	}
	return w, nil
}

// Check asks now. The error is for people; nil is that Temporal is there.
func (w *Watch) Check(ctx context.Context) error {
	return Check(ctx, w.client, w.address, w.namespace)
}

// Run asks again and again until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := askEvery
		if !w.ask(ctx) {
			next = askAway
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// Reached waits until Temporal was there once, or ctx ends, which is the error.
func (w *Watch) Reached(ctx context.Context) error {
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask asks once, and says what has changed.
func (w *Watch) ask(ctx context.Context) (there bool) {
	actx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	err := w.Check(actx)
	if ctx.Err() != nil {
		return true // nothing is known
	}
	w.gauge(err != nil)
	now := time.Now()
	switch {
	case err == nil && !w.away.IsZero():
		w.log.Info("temporal is back", zap.Duration("after", now.Sub(w.away).Round(time.Millisecond)))
		w.away, w.said = time.Time{}, time.Time{}
	case err != nil && w.away.IsZero():
		w.away = now
		fallthrough
	case err != nil && now.Sub(w.said) >= sayEvery:
		w.said = now
		w.log.Warn("temporal is away; what runs waits for it: " + err.Error())
	}
	if err == nil {
		w.first.Do(func() { close(w.reached) })
	}
	return err == nil
}
