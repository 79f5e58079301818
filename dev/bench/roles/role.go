package roles

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/encryption"
	"volley/internal/index"
	"volley/internal/indexer"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
	"volley/worker"
)

// Roles of processes.
const (
	// Loop posts as many messages as each line says, and nothing else.
	Loop = "loop"
	// Bare works on the workflows of this package.
	Bare = "bare"
	// Asynq works on the tasks of a job queue in Redis.
	Asynq = "asynq"
	// Volley is Volley's own worker.
	Volley = "volley"
	// Gateway serves Volley over HTTP, and Caller is a client of it.
	Gateway = "gateway"
	Caller  = "caller"
)

// Role is what a process does, and all that it must know for that.
type Role struct {
	Name string `json:"name"`
	// Address is the Temporal server's, URL the sink's, Store where large batches lie.
	Address  string  `json:"address"`
	URL      string  `json:"url"`
	Store    string  `json:"store"`
	InFlight int     `json:"inFlight"`
	Rate     float64 `json:"rate"`
	Profile  string  `json:"profile"`
	// Keyset is the keyset of Volley's worker, in JSON; empty is none.
	Keyset string `json:"keyset,omitempty"`
	// Index is where Volley's worker fills an index; empty is nowhere.
	Index string `json:"index,omitempty"`
	// Redis is where Asynq finds its tasks.
	Redis string `json:"redis,omitempty"`
	// Gateway is what a Caller calls, Clients how many of it do at once.
	Gateway string `json:"gateway"`
	Clients int    `json:"clients"`
}

// Reply is what a process answers.
type Reply struct {
	// Seconds is how long the loop took, or a caller.
	Seconds float64 `json:"seconds,omitempty"`
	// Heartbeats is how many a worker has sent to the server so far, Queries how many a
	// gateway has.
	Heartbeats int64 `json:"heartbeats,omitempty"`
	Queries    int64 `json:"queries,omitempty"`
	// Gateway is where a gateway serves; it is told when it is ready.
	Gateway string `json:"gateway,omitempty"`
}

// String is the role as Run takes it.
func (r Role) String() string {
	b, _ := json.Marshal(r) // strings and numbers
	return string(b)
}

// Account is the one account that everything is sent through.
func (r Role) Account() provider.Account {
	return provider.Account{
		Name: AccountName, Provider: "webhook", URL: r.URL, Secret: secret,
		AllowPrivate: true, Reconcile: true, Concurrency: r.InFlight, Rate: r.Rate,
	}
}

// Run is the whole life of a process in a role: it says when it is ready, answers
// each line, and ends with its input.
func Run(ctx context.Context, text string, in io.Reader, out io.Writer) error {
	var r Role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	p, err := r.start(ctx)
	if err != nil {
		return err
	}
	say := json.NewEncoder(out)
	err = say.Encode(p.ready)
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		n, _ := strconv.Atoi(strings.TrimSpace(lines.Text())) // written by this program
		var t Reply
		if t, err = p.answer(n); err == nil {
			err = say.Encode(t)
		}
	}
	return errors.Join(err, p.end())
}

// activeRole is a role that a process runs.
type activeRole struct {
	ready Reply
	// answer answers one line.
	answer func(n int) (Reply, error)
	end    func() error
}

func (r Role) start(ctx context.Context) (activeRole, error) {
	if r.Name == Loop {
		p := newPoster(r.URL, r.InFlight)
		return activeRole{
			answer: func(n int) (Reply, error) { return p.loop(ctx, n, r.InFlight) },
			end:    func() error { return nil },
		}, nil
	}
	if r.Name == Asynq {
		return r.workAsynq()
	}
	var calls calls
	keyset, err := encryption.Load(r.Keyset)
	if err != nil {
		return activeRole{}, err
	}
	c, err := temporalclient.Dial(ctx, temporalclient.Options{
		Log: zap.NewNop(), EnvLookup: Env{"TEMPORAL_ADDRESS": r.Address}, Metrics: &calls, Keyset: keyset,
	})
	if err != nil {
		return activeRole{}, err
	}
	p := activeRole{answer: func(int) (Reply, error) {
		return Reply{Heartbeats: calls.heartbeats.Load(), Queries: calls.queries.Load()}, nil
	}}
	var stop func() error
	switch r.Name {
	case Volley:
		stop, err = r.workVolley(ctx, c)
	case Caller:
		p.answer, stop, err = r.caller(ctx, c)
	case Gateway:
		p.ready.Gateway, stop, err = r.serveGateway(ctx, c)
	default:
		stop, err = r.workBare(ctx, c)
	}
	if err != nil {
		c.Close()
		return activeRole{}, err
	}
	p.end = func() error { defer c.Close(); return stop() }
	return p, nil
}

// workVolley runs Volley's own worker.
func (r Role) workVolley(ctx context.Context, c client.Client) (stop func() error, err error) {
	accounts, err := provider.Open([]provider.Account{r.Account()}, provider.Options{Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	keyset, err := encryption.Load(r.Keyset)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, r.Store, store.Options{Keyset: keyset, Namespace: client.DefaultNamespace})
	if err != nil {
		return nil, err
	}
	w, err := worker.New(c, accounts, worker.Options{Log: zap.NewNop(), Drain: time.Second, Store: st})
	if err != nil {
		return nil, err
	}
	profiled, err := profile(r.Profile)
	if err != nil {
		return nil, err
	}
	filled, err := r.fillIndex(ctx, c, st, w, keyset)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() error {
		cancel()
		err := errors.Join(<-done, filled())
		accounts.Close()
		return errors.Join(err, profiled(), st.Close())
	}, nil
}

// fillIndex fills the index beside a worker until end is called, as `volley worker` does.
func (r Role) fillIndex(ctx context.Context, c client.Client, st *store.Store, w *worker.Worker, keyset *encryption.Keyset) (end func() error, err error) {
	if r.Index == "" {
		return func() error { return nil }, nil
	}
	settings, err := temporalclient.ClientOptions(temporalclient.Options{Log: zap.NewNop(), EnvLookup: Env{"TEMPORAL_ADDRESS": r.Address}, Keyset: keyset})
	if err != nil {
		return nil, err
	}
	x, err := index.Open(ctx, index.Options{URL: r.Index})
	if err != nil {
		return nil, err
	}
	feed := indexer.New(indexer.Options{
		Open:    func(context.Context) (indexer.Index, error) { return x, nil },
		Batches: starter.New(c, starter.Options{DataConverter: settings.DataConverter, Store: st}), Owner: w.Identity(),
		Sending: func() bool { return w.Sending(time.Second) },
	})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { feed.Run(ctx) })
	return func() error {
		cancel()
		running.Wait()
		return x.Close()
	}, nil
}

// profile writes a CPU profile until end is called; an empty path is none.
func profile(path string) (end func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

// Env is the environment that the client's settings come from.
type Env map[string]string

// LookupEnv makes Env, with Environ, an envconfig.EnvLookup.
func (e Env) LookupEnv(k string) (string, bool) { v, ok := e[k]; return v, ok }

// Environ is all of it as name=value.
func (e Env) Environ() []string {
	var all []string
	for k, v := range e {
		all = append(all, k+"="+v)
	}
	return all
}
