package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/keywatch"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

// service is what a long-running process works with: a worker or a gateway.
type service struct {
	log      *zap.Logger
	config   *config.Config
	accounts *provider.Registry
	temporal client.Client
	// converter is that of temporal.
	converter converter.DataConverter
	// options are those that temporal was made with.
	options temporalclient.Options
	// identity and namespace are the client's.
	identity, namespace string
	// store is nil where there is none.
	store   *store.Store
	batches *starter.Starter
	// index is nil where there is none.
	index *index.Later
	// watch knows whether Temporal is there, and keys whether the keyset is right.
	watch *temporalclient.Watch
	keys  *keywatch.Watch
	// metrics takes measurements, and page shows them.
	metrics client.MetricsHandler
	page    http.Handler

	ends []func()
}

// service opens all of it for a worker or a gateway, as role says, once check has found nothing wrong with the
// configuration. The caller closes it.
func (a *app) service(ctx context.Context, role string, check func(*config.Config) error) (*service, error) {
	s := &service{}
	if err := s.open(ctx, a, role, check); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *service) open(ctx context.Context, a *app, role string, check func(*config.Config) error) (err error) {
	if s.log, err = a.logger("info"); err != nil {
		return err
	}
	if s.config, _, err = a.config(config.Load); err != nil {
		return err
	}
	if err := check(s.config); err != nil {
		return err
	}
	warnWeak(s.config, s.log)
	if s.accounts, err = provider.Open(s.config.Accounts(), provider.Options{Log: s.log}); err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("accounts: %w", err)}
	}
	s.ends = append(s.ends, s.accounts.Close)
	if s.metrics, s.page, err = temporalclient.NewMetrics(); err != nil {
		return err
	}
	keyset, err := keysetOf(s.config)
	if err != nil {
		return err
	}
	traces, err := openTraces(ctx, s.config, s.log)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, traces.Close)
	o := temporalclient.Options{Log: s.log, Metrics: s.metrics, EnvLookup: a.env, Keyset: keyset, Traces: traces.Provider()}
	s.options = o
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return err
	}
	s.identity, s.namespace, s.converter = settings.Identity, settings.Namespace, settings.DataConverter
	if s.temporal, err = temporalclient.DialLazily(o); err != nil {
		return err
	}
	s.ends = append(s.ends, s.temporal.Close)
	if s.watch, err = temporalclient.NewWatch(s.temporal, o); err != nil {
		return err
	}
	s.store, err = openStore(ctx, s.config, store.Options{Log: s.log, Away: temporalclient.CountStoreAway(s.metrics), Full: temporalclient.CountStoreFull(s.metrics), Keyset: keyset, Namespace: s.namespace})
	if err != nil {
		return err
	}
	if s.store != nil {
		s.ends = append(s.ends, func() { _ = s.store.Close() }) // nothing is under way
	}
	s.keys, err = keywatch.New(keywatch.Options{
		Client: s.temporal, Temporal: o, TaskQueue: s.config.TaskQueue, Role: role, Source: s.config.Keyset.Reveal(), Store: s.store, Now: a.now,
	})
	if err != nil {
		return err
	}
	so := starterOptions(s.config, settings, s.log)
	so.Store, so.Traces = s.store, traces.Provider()
	askAgain(&so, o)
	s.batches = starter.New(s.temporal, so)
	if s.index, err = a.laterIndex(s.config, keyset); s.index != nil {
		s.ends = append(s.ends, func() { _ = s.index.Close() }) // what was written is written
	}
	return err
}

// connected runs work beside what watches over Temporal and the keyset, once wait has
// returned.
func (s *service) connected(ctx context.Context, wait, work func(context.Context) error) error {
	watching, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.watch.Run(watching) })
	wg.Go(func() {
		if s.watch.Reached(watching) == nil {
			s.keys.Run(watching)
		}
	})
	wg.Go(func() {
		if s.watch.Reached(watching) == nil {
			watchAttributes(watching, s.batches, s.metrics, s.log)
		}
	})
	if wait(ctx) != nil {
		return nil // it is to end before it began
	}
	return work(ctx)
}

// waitAt returns what waits until Temporal is there and the keyset is right, since a
// gateway that went on without would accept batches that no worker can read, or write
// them in clear. Meanwhile l, which stays open, answers that it lives and is not ready.
func (s *service) waitAt(l net.Listener, metrics http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		notYet := func(ctx context.Context) error {
			return cmp.Or(s.ready(ctx), errKeyset)
		}
		mux := http.NewServeMux()
		for _, route := range []string{"/healthz", "/readyz", "/metrics"} {
			mux.Handle("GET "+route, operations(metrics, notYet))
		}
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "the gateway waits, /readyz says for what", http.StatusServiceUnavailable)
		})
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(lent{l}) }) // it ends with Close
		err := s.watch.Reached(ctx)
		if err == nil {
			err = s.keys.Wait(ctx)
		}
		_ = server.Close()
		wg.Wait()
		return errors.Join(err, setDeadline(l, time.Time{}))
	}
}

// lent is a listener whose server gives it back with Close instead of closing it.
type lent struct{ net.Listener }

// Close ends Accept.
func (l lent) Close() error { return setDeadline(l.Listener, time.Unix(1, 0)) }

// setDeadline is when Accept ends; zero is never. Listeners of TCP and Unix sockets have it.
func setDeadline(l net.Listener, at time.Time) error {
	if d, ok := l.(interface{ SetDeadline(t time.Time) error }); ok {
		return d.SetDeadline(at)
	}
	return l.Close()
}

// lookForAttributes is how long after search attributes were missing is looked for them
// again.
const lookForAttributes = time.Minute

// watchAttributes says which search attributes the server lacks, and measures how many,
// until there are all of them.
func watchAttributes(ctx context.Context, b interface {
	Missing(context.Context) ([]string, error)
}, m client.MetricsHandler, log *zap.Logger,
) {
	gauge := m.Gauge("volley_search_attributes_missing")
	last := ""
	for {
		missing, err := b.Missing(ctx)
		if ctx.Err() != nil {
			return
		}
		if now := fmt.Sprint(missing, err); now != last {
			warnMissing(missing, err, log)
			last = now
		}
		if err == nil {
			gauge.Update(float64(len(missing)))
			if len(missing) == 0 {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookForAttributes):
		}
	}
}

// warnWeak says which tenants have keys that can be guessed. No key comes into the log.
func warnWeak(c *config.Config, log *zap.Logger) {
	for _, tenant := range c.WeakTenants() {
		log.Warn(fmt.Sprintf("a key of the tenant has fewer than %d characters, so it can be guessed; the next release refuses it", config.MinKey), zap.String("tenant", tenant))
	}
}

// close closes what was opened, the last first.
func (s *service) close() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
}

// healthy is ready as long as the Temporal server answers and has the namespace.
func (s *service) healthy(ctx context.Context) error { return notReady(s.watch.Check(ctx)) }

// errKeyset is what /readyz says of a keyset that is not right; why is in the log.
var errKeyset = errors.New("the keyset is not right")

// ready is healthy with a keyset that is right.
func (s *service) ready(ctx context.Context) error {
	if err := s.healthy(ctx); err != nil {
		return err
	}
	if s.keys.Err() != nil {
		return errKeyset
	}
	return nil
}

// notReady is what /readyz says where Temporal is away. It names no address.
func notReady(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, temporalclient.ErrNoNamespace):
		return temporalclient.ErrNoNamespace
	}
	return errors.New("temporal does not answer")
}
