package main

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/gateway"
	"volley/internal/temporalclient"
)

func (a *app) gatewayCommand() *cobra.Command {
	var listen, public, ops string
	var pages consoleFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve the HTTP APIs until SIGTERM, which drains it",
		Long: `Serves the batch calls of Bird, Sinch, IMKIT and Bluesky and Volley's own API to the
tenants of the configuration, until SIGTERM or Ctrl-C; then requests under way have
30 s to end. Providers report deliveries at /reports/ACCOUNT. /healthz, /readyz,
/metrics and /openapi.json are there for everyone who reaches the address;
--ops-listen moves /metrics elsewhere. Where the configuration has people, they find
the console at --console-listen: pages of what goes on, with its controls.`,
		Example:           "  volley gateway --config examples/volley.yaml --listen :8080",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.gateway(cmd.Context(), listen, public, ops, pages)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":8080", "`address` to serve")
	cmd.Flags().StringVar(&public, "public-url", "", "`URL` under which providers report deliveries, such as https://volley.example.com; default: what a\nrequest and its X-Forwarded headers say")
	opsFlag(cmd, &ops)
	pages.add(cmd)
	return cmd
}

// openAudit opens the audit log of a gateway. One that cannot be written keeps no gateway
// from serving: each line that is lost to it stands in the gateway's own log.
func openAudit(a *app, s *service) *audit.Log {
	var also *audit.Copier
	if s.index != nil {
		also = audit.NewCopier(s.index, s.log)
		s.ends = append(s.ends, also.Close)
	}
	l := audit.New(audit.Options{File: s.config.AuditFile, Stderr: a.stderr, Log: s.log, Failed: temporalclient.CountAuditFailures(s.metrics), Copy: also})
	if err := l.Check(); err != nil {
		s.log.Error("the audit log cannot be written", zap.Error(err))
	}
	return l
}

func (a *app) gateway(ctx context.Context, listen, public, ops string, pages consoleFlags) error {
	s, err := a.service(ctx, "gateway", func(c *config.Config) error {
		if !c.HasLogins() {
			return usage("a gateway needs tenants with keys, or people: put them into the configuration (--config, VOLLEY_CONFIG or ./volley.yaml)")
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
	metrics := s.page
	if ops != "" {
		metrics = nil
	}
	suppressions, stop := s.followSuppressions(ctx)
	defer stop()
	o := gateway.Options{
		Batches: s.batches, Tenants: s.config.Callers(), People: s.config.People(), Accounts: s.config.Accounts(), Limits: s.config.Intake(), Estimates: s.config.Estimates(), BlueskyWait: s.config.BlueskyWait,
		Readers: s.accounts, Reporter: reporter, PublicURL: public, Ready: s.ready, Closed: s.keys.Err, Metrics: metrics, Observe: temporalclient.ObserveHTTP(s.metrics),
		CountReports: temporalclient.CountReports(s.metrics), ObserveReport: temporalclient.ObserveReport(s.metrics), CountFailedLogin: temporalclient.CountFailedLogins(s.metrics), Log: s.log,
		Audit: openAudit(a, s), Connections: s.config.Limits.Connections,
	}
	if s.index != nil {
		o.Index, o.Suppressed, o.Suppressions, o.Persons = s.index, suppressions.Suppressed, s.persons(), s.persons()
	}
	g := gateway.New(o)
	console, err := pages.open(ctx, s, o.Audit, o.Suppressed)
	if err != nil {
		return err
	}
	defer console.close()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return serve(ctx, "ops-listen", ops, operations(s.page, s.ready), s.log, func(ctx context.Context) error {
		return s.connected(ctx, s.waitAt(l, metrics), func(ctx context.Context) error {
			return console.beside(ctx, func(ctx context.Context) error { return g.Serve(ctx, l) })
		})
	})
}
