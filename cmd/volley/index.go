package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/index"
	"volley/internal/temporalclient"
)

// errNoIndex is the error of commands that ask the index, where there is none.
func errNoIndex() error { return usage("needs an index: set index.url in the configuration") }

// openIndex opens the index of the configuration; nil is that it has none.
func (a *app) openIndex(ctx context.Context, c *config.Config, keyset *encryption.Keyset) (*index.Index, error) {
	switch {
	case c.Index.URLUnset:
		return nil, usage("index.url refers to a variable of the environment that is not set")
	case c.Index.URL.IsZero():
		return nil, nil
	}
	settings, err := temporalclient.ClientOptions(temporalclient.Options{EnvLookup: a.env})
	if err != nil {
		return nil, err
	}
	log, err := a.logger("warn")
	if err != nil {
		return nil, err
	}
	return index.Open(ctx, index.Options{
		URL: c.Index.URL.Reveal(), Keys: index.NewKeys(keyset, settings.Namespace), Retention: c.Index.Retention, StatsRetention: c.Index.StatsRetention, Now: a.now, Log: log,
	})
}

// laterIndex is the index of the configuration, which is opened once it is needed; nil is
// that it has none.
func (a *app) laterIndex(c *config.Config, keyset *encryption.Keyset) (*index.Later, error) {
	if c.Index.URL.IsZero() && !c.Index.URLUnset {
		return nil, nil
	}
	if c.Index.URLUnset {
		return nil, usage("index.url refers to a variable of the environment that is not set")
	}
	return index.NewLater(func(ctx context.Context) (*index.Index, error) { return a.openIndex(ctx, c, keyset) }), nil
}

// sealIndex opens the index, which lets the key that seals now seal what must outlive the
// others.
func (a *app) sealIndex(ctx context.Context, c *config.Config) error {
	keyset, err := keysetOf(c)
	if err != nil {
		return err
	}
	x, err := a.openIndex(ctx, c, keyset)
	if err != nil || x == nil {
		return err
	}
	return x.Close()
}

// withIndex opens the index for a command that needs it.
func (a *app) withIndex(ctx context.Context, do func(*index.Index) error) (err error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	keyset, err := keysetOf(c)
	if err != nil {
		return err
	}
	x, err := a.openIndex(ctx, c, keyset)
	switch {
	case err != nil:
		return err
	case x == nil:
		return errNoIndex()
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	return do(x)
}

func (a *app) indexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "See to the index that find, stats and stuck ask",
		Long: `Shows the index: the SQL database (index.url in the configuration) that find, stats
and stuck ask. Nothing is sent by it and nothing waits for it but suppressions.`,
		Example: "  volley index status",
		Args:    needs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.indexStatusCommand(), a.indexRebuildCommand())
	return cmd
}

func (a *app) indexStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status",
		Short:             "Show how large the index is and how far it goes",
		Long:              `Shows how many messages and batches are in the index, how large it is, and when the newest of what it knows was read.`,
		Example:           "  volley index status -o json",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withIndex(cmd.Context(), func(x *index.Index) error {
				s, err := x.Status(cmd.Context())
				if err != nil {
					return err
				}
				return a.showIndex(s)
			})
		},
	}
}

func (a *app) showIndex(s index.Status) error {
	if a.json() {
		return a.print(s)
	}
	t := &table{}
	line, at := t.facts(a.now())
	kind := "PostgreSQL"
	if s.Path != "" {
		kind = "SQLite in " + s.Path
	}
	line("database", fmt.Sprintf("%s, %s, schema %d of %d", kind, humanize.IBytes(uint64(max(s.Bytes, 0))), s.Schema, s.Newest)) //nolint:gosec // not below 0
	line("messages", number(int(s.Messages)))
	line("batches", fmt.Sprintf("%s, %s open", number(int(s.Batches)), number(int(s.Open))))
	line("audit", plural(int(s.Audit), "line"))
	at("oldest batch", s.Oldest)
	at("as of", s.AsOf)
	switch {
	case s.Encrypted && s.Plain:
		line("recipients", "encrypted, but for those of before encryption was on")
	case s.Encrypted:
		line("recipients", "encrypted")
	default:
		line("recipients", "in clear")
	}
	a.table(t)
	return nil
}
