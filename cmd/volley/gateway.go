package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"volley/internal/config"
	"volley/internal/gateway"
	"volley/internal/provider"
	"volley/internal/temporalclient"
	"volley/starter"
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
		Example:           "  volley gateway --config volley.yaml --listen :8080",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.gateway(cmd.Context(), listen, public) },
	}
	cmd.Flags().StringVar(&listen, "listen", ":8080", "`address` to serve")
	cmd.Flags().StringVar(&public, "public-url", "", "`URL` under which providers report deliveries, such as https://volley.example.com; default: what a\nrequest and its X-Forwarded headers say")
	return cmd
}

func (a *app) gateway(ctx context.Context, listen, public string) error {
	log, err := a.logger("info")
	if err != nil {
		return err
	}
	c, _, err := a.config(config.Load)
	if err != nil {
		return err
	}
	tenants := c.Callers()
	if len(tenants) == 0 {
		return usage("a gateway needs tenants with keys: put them into the configuration (--config, VOLLEY_CONFIG or ./volley.yaml)")
	}
	if u, err := url.Parse(public); public != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return usage("--public-url %q, expected an address such as https://volley.example.com", public)
	}
	registry, err := provider.Open(c.Accounts(), provider.Options{Log: log})
	if err != nil {
		return &exitError{code: exitUsage, err: fmt.Errorf("accounts: %w", err)}
	}
	defer registry.Close()
	metrics, page, err := temporalclient.NewMetrics()
	if err != nil {
		return err
	}
	o := temporalclient.Options{Log: log, Metrics: metrics, EnvLookup: a.env}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return err
	}
	tc, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return err
	}
	defer tc.Close()
	so := starterOptions(c, settings.Namespace, log)
	if so.Store, err = openStore(ctx, c, log); err != nil {
		return err
	}
	if so.Store != nil {
		defer so.Store.Close()
	}
	st := starter.New(tc, so)
	warnMissing(ctx, st, log)
	reporter := st.NewReporter()
	defer reporter.Close()
	g := gateway.New(gateway.Options{
		Batches: st, Tenants: tenants, Accounts: c.Accounts(), Limits: c.Intake(), BlueskyWait: c.BlueskyWait,
		Readers: registry, Reporter: reporter, PublicURL: public, Ready: healthy(tc), Metrics: page, Observe: observe(metrics), Log: log,
	})
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return g.Serve(ctx, l)
}

// healthy is ready as long as the Temporal server answers.
func healthy(tc client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := tc.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return errors.New("temporal does not answer")
		}
		return nil
	}
}

// observe measures answers, by the pattern of their route.
func observe(m client.MetricsHandler) func(route string, status int, took time.Duration) {
	return func(route string, status int, took time.Duration) {
		if route == "" {
			route = "none"
		}
		_, route, _ = strings.Cut(" "+route, " ")
		h := m.WithTags(map[string]string{"route": strings.TrimSpace(route), "code": strconv.Itoa(status)})
		h.Counter("volley_http_requests").Inc(1)
		h.Timer("volley_http_request_latency").Record(took)
	}
}
