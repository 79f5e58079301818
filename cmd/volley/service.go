package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/config"
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
	// identity and namespace are the client's.
	identity, namespace string
	// store is nil where there is none.
	store   *store.Store
	batches *starter.Starter
	// metrics takes measurements, and page shows them.
	metrics client.MetricsHandler
	page    http.Handler

	ends []func()
}

// service opens all of it, once check has found nothing wrong with the
// configuration. The caller closes it.
func (a *app) service(ctx context.Context, check func(*config.Config) error) (*service, error) {
	s := &service{}
	if err := s.open(ctx, a, check); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *service) open(ctx context.Context, a *app, check func(*config.Config) error) (err error) {
	if s.log, err = a.logger("info"); err != nil {
		return err
	}
	if s.config, _, err = a.config(config.Load); err != nil {
		return err
	}
	if err := check(s.config); err != nil {
		return err
	}
	if s.accounts, err = provider.Open(s.config.Accounts(), provider.Options{Log: s.log}); err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("accounts: %w", err)}
	}
	s.ends = append(s.ends, s.accounts.Close)
	if s.metrics, s.page, err = temporalclient.NewMetrics(); err != nil {
		return err
	}
	o := temporalclient.Options{Log: s.log, Metrics: s.metrics, EnvLookup: a.env}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return err
	}
	s.identity, s.namespace = settings.Identity, settings.Namespace
	if s.temporal, err = temporalclient.Dial(ctx, o); err != nil {
		return err
	}
	s.ends = append(s.ends, s.temporal.Close)
	if s.store, err = openStore(ctx, s.config, s.log); err != nil {
		return err
	}
	if s.store != nil {
		s.ends = append(s.ends, func() { _ = s.store.Close() }) // nothing is under way
	}
	so := starterOptions(s.config, s.namespace, s.log)
	so.Store = s.store
	askAgain(&so, o)
	s.batches = starter.New(s.temporal, so)
	warnMissing(ctx, s.batches, s.log)
	return nil
}

// close closes what was opened, the last first.
func (s *service) close() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
}

// healthy is ready as long as the Temporal server answers.
func (s *service) healthy(ctx context.Context) error {
	if _, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return errors.New("temporal does not answer")
	}
	return nil
}
