package main

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/gateway"
	"volley/internal/temporalclient"
)

func (a *app) gatewayCommand() *cobra.Command {
	var listen, public string
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve the HTTP APIs until SIGTERM, which drains it",
		Long: `Serves the batch calls of Bird, Sinch, IMKIT and Bluesky and Volley's own API to the
tenants of the configuration, until SIGTERM or Ctrl-C; then requests under way have
30 s to end. Providers report deliveries at /reports/ACCOUNT. /healthz, /readyz,
/metrics and /openapi.json are there for everyone who reaches the address.`,
		Example:           "  volley gateway --config examples/volley.yaml --listen :8080",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.gateway(cmd.Context(), listen, public) },
	}
	cmd.Flags().StringVar(&listen, "listen", ":8080", "`address` to serve")
	cmd.Flags().StringVar(&public, "public-url", "", "`URL` under which providers report deliveries, such as https://volley.example.com; default: what a\nrequest and its X-Forwarded headers say")
	return cmd
}

func (a *app) gateway(ctx context.Context, listen, public string) error {
	s, err := a.service(ctx, func(c *config.Config) error {
		if len(c.Callers()) == 0 {
			return usage("a gateway needs tenants with keys: put them into the configuration (--config, VOLLEY_CONFIG or ./volley.yaml)")
		}
		if u, err := url.Parse(public); public != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
			return usage("--public-url %q, expected an address such as https://volley.example.com", public)
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer s.close()
	reporter := s.batches.NewReporter()
	defer reporter.Close()
	g := gateway.New(gateway.Options{
		Batches: s.batches, Tenants: s.config.Callers(), Accounts: s.config.Accounts(), Limits: s.config.Intake(), BlueskyWait: s.config.BlueskyWait,
		Readers: s.accounts, Reporter: reporter, PublicURL: public, Ready: s.healthy, Metrics: s.page, Observe: temporalclient.ObserveHTTP(s.metrics),
		CountReports: temporalclient.CountReports(s.metrics), Log: s.log,
	})
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return g.Serve(ctx, l)
}
