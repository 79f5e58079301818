package temporalclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"volley/internal/encryption"
)

// ErrNoAnswer means that no server answered at the address.
var ErrNoAnswer = errors.New("temporal did not answer")

// dialTimeout is how long a server may take to answer the first call.
const dialTimeout = 10 * time.Second

// payloadWarning is from how many bytes on the SDK warns of a payload. Volley bounds
// its own below it (message.FitRows, limits.inline_bytes), and the server refuses 2 MiB;
// the SDK's default of 512 KiB would tell users of something that is as it should be.
const payloadWarning = 1_900_000

// Options configure Dial. The zero value is usable.
type Options struct {
	// Log gets what the SDK logs; nil is nowhere.
	Log *zap.Logger
	// Metrics gets what the SDK measures; nil is nowhere.
	Metrics client.MetricsHandler
	// EnvLookup is the environment with TEMPORAL_ADDRESS and the like; nil is the
	// process's own.
	EnvLookup envconfig.EnvLookup
	// Keyset seals what Temporal stores; nil is nothing, and what is sealed cannot be
	// read.
	Keyset *encryption.Keyset
	// Traces makes spans of what a worker on the client does; nil makes none, and traces
	// of others pass through.
	Traces trace.TracerProvider
}

// ForWorker is a client on the connection of another one, for a worker: what it cannot
// decode in a workflow task fails the task and never the run. The caller closes both.
func ForWorker(ctx context.Context, c client.Client, o Options) (client.Client, error) {
	opts, err := clientOptions(o, true)
	if err != nil {
		return nil, err
	}
	w, err := client.NewClientFromExistingWithContext(ctx, c, opts)
	if err != nil {
		return nil, fmt.Errorf("temporal client of the worker: %w", err)
	}
	return w, nil
}

// Dial connects and makes sure that the server answers and has the namespace,
// within ten seconds or ctx's deadline. Where the caller ends ctx before, the error is
// ctx's and no ErrNoAnswer. The caller closes the client.
func Dial(ctx context.Context, o Options) (client.Client, error) {
	opts, err := ClientOptions(o)
	if err != nil {
		return nil, err
	}
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(dctx, opts)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled): // nothing is wrong with the server
		return nil, fmt.Errorf("connect to temporal at %s: %w", opts.HostPort, ctx.Err())
	case err != nil:
		return nil, &dialError{address: opts.HostPort, err: err}
	}
	if err := Check(dctx, c, opts.HostPort, opts.Namespace); errors.Is(err, ErrNoNamespace) {
		c.Close()
		return nil, err
	}
	return c, nil
}

// dialError says which address did not answer. It is an ErrNoAnswer.
type dialError struct {
	address string
	err     error
}

func (e *dialError) Error() string {
	return fmt.Sprintf("temporal at %s did not answer (TEMPORAL_ADDRESS sets the address): %v", e.address, e.err)
}

// Unwrap makes the error an ErrNoAnswer, and keeps its cause.
func (e *dialError) Unwrap() []error { return []error{ErrNoAnswer, e.err} }

// ClientOptions are the SDK's options that Dial uses, with address and namespace
// filled in.
func ClientOptions(o Options) (client.Options, error) { return clientOptions(o, false) }

func clientOptions(o Options, ofWorker bool) (client.Options, error) {
	opts, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: o.EnvLookup})
	if err != nil {
		return client.Options{}, fmt.Errorf("temporal client settings: %w", err)
	}
	if opts.HostPort == "" {
		opts.HostPort = client.DefaultHostPort
	}
	if opts.Namespace == "" {
		opts.Namespace = client.DefaultNamespace
	}
	log := o.Log
	if log == nil {
		log = zap.NewNop()
	}
	opts.Logger = Logger(log)
	opts.MetricsHandler = o.Metrics
	opts.Identity = identity()
	dc := sealing(o.Keyset, opts.Namespace, opts.DataConverter, ofWorker)
	opts.DataConverter, opts.FailureConverter = dc, newFailures(dc, !o.Keyset.IsOff())
	opts.PayloadLimits.PayloadSizeWarning = payloadWarning
	opts.ContextPropagators = []workflow.ContextPropagator{tracePropagator{}}
	if o.Traces != nil {
		opts.Interceptors = []interceptor.ClientInterceptor{&tracer{spans: o.Traces}}
	}
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions, grpc.WithStatsHandler(answers{}))
	if loopback(opts.HostPort) {
		// Compression costs more than the loopback interface does.
		opts.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	return opts, nil
}

// identity is how this process shows up in histories and in the Web UI.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("volley-%d@%s", os.Getpid(), host)
}

// loopback reports whether an address is this machine's own.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
