package main

import (
	"context"
	"errors"
	"sync"

	"go.temporal.io/sdk/client"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/person"
	"volley/internal/store"
	"volley/internal/suppression"
	"volley/internal/temporalclient"
)

// followSuppressions follows the suppression list until ctx ends, or stop is called, which
// waits for that. The list is nil where there is no index.
func (s *service) followSuppressions(ctx context.Context) (list *suppression.List, stop func()) {
	if s.index == nil {
		return nil, func() {}
	}
	list = suppression.New(suppression.Options{
		Open:         func(ctx context.Context) (suppression.Source, error) { return s.index.Get(ctx) },
		SendsUnknown: s.config.SendsUnsuppressed, Observe: observeSuppressions(s.metrics), Log: s.log,
	})
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { list.Run(ctx) })
	return list, func() {
		cancel()
		following.Wait()
	}
}

// observeSuppressions measures how many recipients are on the suppression list, and whether it
// cannot be read.
func observeSuppressions(m client.MetricsHandler) func(recipients int, unknown bool) {
	size, away := m.Gauge("volley_suppressions"), m.Gauge("volley_suppressions_unknown")
	return func(recipients int, unknown bool) {
		size.Update(float64(recipients))
		if unknown {
			away.Update(1)
			return
		}
		away.Update(0)
	}
}

// suppressed reads the suppression list for a command that accepts messages; nil is that
// there is none. One that cannot be read is no reason to accept nothing, since workers ask
// it again.
func (a *app) suppressed(ctx context.Context, c *config.Config) (func(tenant, region string, addresses []string) bool, error) {
	if c.Index.URL.IsZero() {
		return nil, nil
	}
	keyset, err := keysetOf(c)
	if err != nil {
		return nil, err
	}
	x, err := a.openIndex(ctx, c, keyset)
	if err == nil {
		defer func() { _ = x.Close() }() // it was only read
		list := suppression.New(suppression.Options{Open: func(context.Context) (suppression.Source, error) { return x, nil }})
		if err = list.Load(ctx); err == nil {
			return list.Suppressed, nil
		}
	}
	if errors.Is(err, index.ErrUnavailable) {
		a.note("the suppression list cannot be read: who is on it is left out when the messages are due")
		return nil, nil
	}
	return nil, err
}

// persons is what a gateway does about one person; it needs the index.
func (s *service) persons() *person.Service {
	return &person.Service{Index: s.index, Batches: s.batches, Store: s.store}
}

// withPerson runs a command about one person, which needs the index, and Temporal.
func (a *app) withPerson(ctx context.Context, do func(k *person.Records, region string) error) error {
	return a.withIndex(ctx, func(x *index.Index) error {
		c, _, err := a.config(config.LoadWithoutSecrets)
		if err != nil {
			return err
		}
		keyset, err := keysetOf(c)
		if err != nil {
			return err
		}
		log, err := a.logger("warn")
		if err != nil {
			return err
		}
		settings, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: a.env})
		if err != nil {
			return err
		}
		b, done, err := a.open(ctx, a, c)
		if err != nil {
			return err
		}
		defer done()
		st, err := openStore(ctx, c, store.Options{Log: log, CacheBytes: commandCache, Keyset: keyset, Namespace: settings.Namespace})
		if err != nil {
			return err
		}
		if st != nil {
			defer func() { _ = st.Close() }() // nothing is under way
		}
		return do(&person.Records{Index: x, Batches: b, Store: st}, c.Caller(a.tenant).Region)
	})
}
