package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/store"
	"volley/internal/temporalclient"
	"volley/starter"
)

// environment is a list as from os.Environ.
type environment []string

// LookupEnv finds a variable; the last of several counts.
func (e environment) LookupEnv(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(e[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// Environ lists all variables.
func (e environment) Environ() []string { return e }

// loader is config.Load or config.LoadWithoutSecrets.
type loader func(path string, lookup func(string) (string, bool)) (*config.Config, error)

// config reads the configuration. found is false where there is no file, and the
// defaults hold.
func (a *app) config(load loader) (c *config.Config, found bool, err error) {
	path := a.configPath()
	if path == "" {
		return config.Default(), false, nil
	}
	c, err = load(path, a.env.LookupEnv)
	var wrong *config.Error
	if err != nil && !errors.As(err, &wrong) {
		return nil, false, &exitError{code: exitUsage, err: err}
	}
	return c, true, err
}

// configPath is the file of the configuration; empty is none.
func (a *app) configPath() string {
	path := a.configFile
	if path == "" {
		path, _ = a.env.LookupEnv("VOLLEY_CONFIG")
	}
	if path == "" {
		if _, err := os.Stat("volley.yaml"); errors.Is(err, os.ErrNotExist) {
			return ""
		}
		path = "volley.yaml"
	}
	return path
}

// connect opens the real thing.
func connect(ctx context.Context, a *app, c *config.Config) (batches, func(), error) {
	log, err := a.logger("warn")
	if err != nil {
		return nil, nil, err
	}
	keyset, err := keysetOf(c)
	if err != nil {
		return nil, nil, err
	}
	o := temporalclient.Options{Log: log, EnvLookup: a.env, Keyset: keyset}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return nil, nil, err
	}
	tc, err := temporalclient.Dial(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if err := temporalclient.CheckKeyset(ctx, tc, c.TaskQueue, o); err != nil {
		tc.Close()
		return nil, nil, err
	}
	traces, err := openTraces(ctx, c, log)
	if err != nil {
		tc.Close()
		return nil, nil, err
	}
	done := func() {
		tc.Close()
		traces.Close()
	}
	so := starterOptions(c, settings, log)
	so.Traces = traces.Provider()
	askAgain(&so, o)
	st, err := store.Open(ctx, c.Store, store.Options{Log: log, CacheBytes: commandCache, Keyset: keyset, Namespace: settings.Namespace})
	if err != nil {
		// Small batches never need it.
		log.Debug("the store cannot be opened", zap.Error(err))
		return withoutStore{starter.New(tc, so), err}, done, nil
	}
	so.Store = st
	return starter.New(tc, so), func() {
		_ = st.Close() // nothing is under way
		done()
	}, nil
}

// commandCache is how much of what a command read from the store it keeps.
const commandCache = 16 << 20

// keysetOf reads the keyset of the configuration; nil is none.
func keysetOf(c *config.Config) (*encryption.Keyset, error) {
	if c.KeysetUnset {
		return nil, usage("encryption.keyset refers to a variable of the environment that is not set")
	}
	k, err := encryption.Load(c.Keyset.Reveal())
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("encryption.keyset: %w", err)}
	}
	return k, nil
}

func starterOptions(c *config.Config, settings client.Options, log *zap.Logger) starter.Options {
	return starter.Options{
		DataConverter: settings.DataConverter,
		ContentKey:    []byte(c.ContentKey.Reveal()), NoContent: c.ContentKeyUnset,
		Namespace: settings.Namespace, TaskQueue: c.TaskQueue, InFlight: c.Limits.InFlight, MaxMessages: c.Limits.InlineMessages,
		MaxBytes: c.Limits.InlineBytes, StoreURL: c.Store, GroupAbove: c.Limits.GroupAbove,
		Rates: c.Rates(), ActionPrice: c.ActionPrice, SearchMetadata: c.SearchMetadata, NoSummaries: !c.ActivitySummaries, Log: log,
	}
}

// askAgain makes a starter know which of its calls had no answer, and repeat those on
// another connection.
func askAgain(so *starter.Options, o temporalclient.Options) {
	so.TrackAnswers = temporalclient.TrackAnswers
	so.Redial = func(ctx context.Context) (client.Client, error) { return temporalclient.Dial(ctx, o) }
}

// openStore opens the store of large batches. The default one is only there where
// somebody made room for it; without it everything but large batches works, and
// nil is returned. Another one that is not there is waited for. o.Away is called for every
// read that finds the store away, o.Full for every object for which there is no room.
func openStore(ctx context.Context, c *config.Config, o store.Options) (*store.Store, error) {
	byDefault := c.Store == config.Default().Store
	o.Create = byDefault
	s, err := store.Open(ctx, c.Store, o)
	switch {
	case err == nil:
		return s, nil
	case byDefault:
		o.Log.Warn("the default store cannot be used, so there are no large batches; `store` in the configuration names another one", zap.Error(err))
		return nil, nil
	}
	return nil, &exitError{code: exitUsage, err: fmt.Errorf("store: %w", err)}
}

func newLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil || at > zapcore.ErrorLevel {
		return nil, usage("--log-level %q, expected debug, info, warn or error", level)
	}
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.RFC3339TimeEncoder
	encoder := zapcore.NewJSONEncoder(e)
	if format == "console" {
		encoder = zapcore.NewConsoleEncoder(e)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), at)
	return zap.New(core, zap.AddStacktrace(zapcore.DPanicLevel)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := plain(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is how many columns a terminal has; 80 where it does not say.
func terminalWidth(w io.Writer) int {
	if f, ok := plain(w).(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// width is how many columns stdout has.
func (a *app) width() int {
	if a.columns > 0 {
		return a.columns
	}
	return terminalWidth(a.stdout)
}

// note tells a person something beside the result.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.stderr, "volley: "+format+"\n", harmless(args)...)
}

// configured reports whether there is a configuration that can be read.
func (a *app) configured() bool {
	_, found, err := a.config(config.LoadWithoutSecrets)
	return found && err == nil
}

// memoryTarget is what the runtime aims at while a request of any size is read. That
// needs some 24 MiB, those of the runtime and of the world's numbering plans among
// them; without an aim garbage takes as much again, and with a lower one the
// collector costs more than the reading.
const memoryTarget = 28 << 20

// limitMemory makes the garbage collector aim at memoryTarget unless GOMEMLIMIT is set.
// First it returns the memory that the start of the process left behind.
func limitMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryTarget)
		debug.FreeOSMemory()
	}
}
