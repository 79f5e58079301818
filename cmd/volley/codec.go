package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"volley/internal/config"
	"volley/internal/temporalclient"
)

func (a *app) codecCommand() *cobra.Command {
	var listen string
	var origins []string
	cmd := &cobra.Command{
		Use:   "codec",
		Short: "Show encrypted payloads to Temporal's Web UI and CLI",
		Long: `Serves the codec endpoint of Temporal's Web UI and of its stock CLI until SIGTERM or
Ctrl-C. It decodes with the keyset of the configuration, encodes nothing, and leaves out
what sensitive messages say. Pages of other origins than --origin are refused. Callers give
codec.key of the configuration as a bearer token or as a password; without such a key only
a loopback address is served.`,
		Example:           "  volley codec --config examples/volley.yaml --listen :8082 --origin http://localhost:8233",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.codec(cmd.Context(), listen, origins) },
	}
	cmd.Flags().StringVar(&listen, "listen", ":8082", "`address` to serve")
	cmd.Flags().StringArrayVar(&origins, "origin", nil, "`URL` of a Web UI whose pages may ask, as http://localhost:8233; may be repeated")
	return cmd
}

func (a *app) codec(ctx context.Context, listen string, origins []string) error {
	log, err := a.logger("info")
	if err != nil {
		return err
	}
	h, err := a.codecHandler(listen, origins)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	log.Info("payloads are decoded", zap.String("address", l.Addr().String()), zap.Strings("origins", origins))
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("codec: %w", err)
	}
	return nil
}

// codecHandler checks what was asked for.
func (a *app) codecHandler(listen string, origins []string) (http.Handler, error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return nil, err
	}
	keyset, err := keysetOf(c)
	if err != nil {
		return nil, err
	}
	for _, o := range origins {
		if u, err := url.Parse(o); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != o {
			return nil, usage("--origin %q, expected scheme, host and port such as http://localhost:8233", o)
		}
	}
	switch {
	case keyset.IsOff():
		return nil, usage("there is nothing to decode: encryption.keyset is not in the configuration (--config, VOLLEY_CONFIG or ./volley.yaml)")
	case c.CodecKey.IsZero() && !isLoopback(listen):
		return nil, usage("--listen %q is reached from other machines: put codec.key into the configuration, or listen at 127.0.0.1", listen)
	}
	settings, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: a.env})
	if err != nil {
		return nil, err
	}
	return temporalclient.CodecHandler(temporalclient.CodecOptions{
		Keyset: keyset, Namespace: settings.Namespace, Origins: origins, Key: c.CodecKey.Reveal(),
	}), nil
}

// isLoopback reports whether an address is reached from this machine alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
