package chaos

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"volley/internal/message"
	"volley/starter"
)

// mostMessages is how many messages a run has at most: all that is known of them is in
// memory.
const mostMessages = 1_000_000

// ErrOpenBatches means that batches of others run in the namespace.
var ErrOpenBatches = errors.New("the namespace has open batches")

// Batches is what a run does with batches; *starter.Starter is one.
type Batches interface {
	Start(ctx context.Context, r starter.Request) (starter.Started, error)
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Results(ctx context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error]
	Cancel(ctx context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error)
	Pause(ctx context.Context, ref starter.Ref) (message.PauseResult, error)
	Resume(ctx context.Context, ref starter.Ref) (message.ResumeResult, error)
	Reschedule(ctx context.Context, ref starter.Ref, q message.RescheduleRequest) (message.RescheduleResult, error)
	Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error)
	Hold(ctx context.Context, q starter.HoldRequest) (starter.HoldResult, error)
	Release(ctx context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error)
	Delete(ctx context.Context, ref starter.Ref) error
	SetupStore(ctx context.Context, force bool) (made bool, err error)
}

// Cluster is a Temporal server as a run sees it.
type Cluster struct {
	Batches Batches
	Router  message.Router
	// OpenBatches counts the batches that run in the namespace, of whomever.
	OpenBatches func(ctx context.Context) (int, error)
	// Terminate ends a workflow as an operator does.
	Terminate func(ctx context.Context, workflowID string) error
	// History is that of a workflow's last run, as the SDK's replayer reads it.
	History func(ctx context.Context, workflowID string) ([]byte, error)
	Close   func()
}

// KeysetVariable is the variable of the environment that has Options.Keyset.
const KeysetVariable = "VOLLEY_CHAOS_KEYSET"

// Options say what a run does.
type Options struct {
	// Messages is how many are started; redrives repeat some of them.
	Messages int
	Seed     uint64
	// Faults is the share of requests to the sink that misbehave, from 0 to 1. Other
	// faults come the closer to each other the larger it is; with 0 there are none.
	Faults float64
	// Dispatch is message, group or both.
	Dispatch string
	// Here allows a namespace with open batches.
	Here bool

	// Executable is the program that is run as `worker --config FILE --listen ''`, in an
	// environment.
	Executable string
	Env        []string
	// Temporal is host and port of the server, ServerName what its certificate is for;
	// empty is no TLS.
	Temporal, ServerName string
	// Store is the URL of the store of which the run uses a folder.
	Store string
	// Keyset encrypts the run as `encryption.keyset` does: configuration files refer to the
	// variable KeysetVariable, which is set for workers and which Open has to resolve. Empty
	// is no encryption.
	Keyset string
	// Open connects with a configuration file.
	Open func(ctx context.Context, configFile string) (*Cluster, error)
	// RestartServer kills the server and starts it again; nil is that it is not ours.
	RestartServer func(ctx context.Context) error
	// Say tells people how the run goes on; nil is nobody.
	Say func(format string, args ...any)
}

// OptionError says which option makes no run.
type OptionError struct{ text string }

func (e *OptionError) Error() string { return e.text }

// check refuses what makes no run.
func (o *Options) check() error {
	bad := func(format string, args ...any) error { return &OptionError{fmt.Sprintf(format, args...)} }
	switch {
	case o.Messages < smallest || o.Messages > mostMessages:
		return bad("messages %d, expected %d to %d", o.Messages, smallest, mostMessages)
	case o.Faults < 0 || o.Faults > 1:
		return bad("faults %v, expected 0%% to 100%%", o.Faults)
	case o.Dispatch != dispatchBoth && o.Dispatch != dispatchMessage && o.Dispatch != dispatchGroup:
		return bad("dispatch %q, expected message, group or both", o.Dispatch)
	case strings.HasPrefix(o.Store, "mem:"):
		return errors.New("store: it is in memory, which processes do not share; `store` in the configuration names another one")
	}
	return nil
}

// storeDir is the directory of a file:// store, else empty.
func (o *Options) storeDir() string {
	u, err := url.Parse(o.Store)
	if err != nil || u.Scheme != "file" {
		return ""
	}
	return filepath.FromSlash(u.Path)
}

// storeEndpoint is the address of an s3:// store's server where that is one without TLS: a
// proxy can stand before it, as its requests are signed for whatever host they go to. Else
// it is nil.
func (o *Options) storeEndpoint() *url.URL {
	u, err := url.Parse(o.Store)
	if err != nil || u.Scheme != "s3" {
		return nil
	}
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	if err != nil || endpoint.Scheme != "http" || endpoint.Host == "" {
		return nil
	}
	return endpoint
}

// Run makes one run and checks it. An error means that there is no proof either way; then
// nothing of the report counts.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	r, err := open(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	began := time.Now()
	e, err := r.run(ctx)
	if err != nil {
		return nil, err
	}
	rep := r.report(e, time.Since(began))
	if len(rep.Violations) > 0 {
		rep.Logs = r.dir
	} else {
		_ = os.RemoveAll(r.dir) // logs of workers that nobody needs
	}
	return rep, nil
}
