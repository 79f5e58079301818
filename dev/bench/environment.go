package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.uber.org/zap"

	"volley/dev/bench/roles"
	"volley/dev/server"
	"volley/internal/encryption"
	"volley/internal/store"
	"volley/internal/temporalclient"
)

// environment is what everything runs on: one server, one sink, one client, one store.
type environment struct {
	o      options
	server *server.Server
	sink   *sink
	client client.Client
	// own is the client of Volley's batches, converter what it decodes with, and keyset
	// the keyset of both in JSON; empty is none.
	own       client.Client
	converter converter.DataConverter
	keyset    string
	// store is where large batches lie, which this process writes and its workers read.
	store    *store.Store
	storeURL string
	redis    string // its address; empty without
	dir      string // for files of its own
	ends     []func()
}

// newEnvironment brings it up on a server that keeps its state in one of three places.
func newEnvironment(ctx context.Context, o options, where string) (*environment, error) {
	b := &environment{o: o}
	if err := b.start(ctx, where); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *environment) start(ctx context.Context, where string) error {
	dir, err := os.MkdirTemp("", "volley-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	b.ends = append(b.ends, func() { _ = os.RemoveAll(dir) })
	b.storeURL = "file://" + filepath.ToSlash(filepath.Join(dir, "store"))
	keyset, err := b.makeKeyset()
	if err != nil {
		return err
	}
	if b.store, err = store.Open(ctx, b.storeURL, store.Options{Keyset: keyset, Namespace: client.DefaultNamespace}); err != nil {
		return err
	}
	b.ends = append(b.ends, func() { _ = b.store.Close() })
	so := server.Options{Log: zap.NewNop()}
	switch where {
	case inFile:
		so.DB = filepath.Join(dir, "temporal.db")
	case inPostgres:
		so.Postgres, so.Scratch = b.o.postgres, true
	}
	if b.server, err = server.Start(ctx, so); err != nil {
		return err
	}
	b.ends = append(b.ends, func() {
		if err := b.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: server:", err)
		}
	})
	if slices.Contains(b.o.shapes, roles.Asynq) && hasRedis() {
		if err := b.startRedis(ctx, dir); err != nil {
			return err
		}
	}
	b.sink = newSink()
	b.ends = append(b.ends, b.sink.server.Close)
	b.client, err = temporalclient.Dial(ctx, temporalclient.Options{
		Log: zap.NewNop(), EnvLookup: roles.Env{"TEMPORAL_ADDRESS": b.server.Address()},
	})
	if err != nil {
		return err
	}
	b.ends = append(b.ends, b.client.Close)
	return b.seal(ctx)
}

// makeKeyset makes the keyset where the options ask for one.
func (b *environment) makeKeyset() (*encryption.Keyset, error) {
	if !b.o.encrypt {
		return nil, nil
	}
	k, err := encryption.New()
	if err != nil {
		return nil, err
	}
	text, err := k.JSON()
	b.keyset = string(text)
	return k, err
}

// seal makes the client of Volley's batches, whose payloads are sealed where the options
// say so.
func (b *environment) seal(ctx context.Context) error {
	keyset, err := encryption.Load(b.keyset)
	if err != nil {
		return err
	}
	o := temporalclient.Options{Log: zap.NewNop(), EnvLookup: roles.Env{"TEMPORAL_ADDRESS": b.server.Address()}, Keyset: keyset}
	settings, err := temporalclient.ClientOptions(o)
	if err != nil {
		return err
	}
	b.converter = settings.DataConverter
	if b.own, err = temporalclient.Dial(ctx, o); err != nil {
		return err
	}
	b.ends = append(b.ends, b.own.Close)
	return nil
}

func (b *environment) close() {
	for i := len(b.ends) - 1; i >= 0; i-- {
		b.ends[i]()
	}
}

// role is what a process needs to know to run in it.
func (b *environment) role(name string, delay time.Duration) roles.Role {
	r := roles.Role{
		Name: name, Address: b.server.Address(), URL: b.sink.at(delay), Store: b.storeURL,
		InFlight: b.o.inFlight, Rate: b.o.rate, Redis: b.redis,
	}
	if name == roles.Volley {
		r.Profile, r.Keyset = b.o.profile, b.keyset
	}
	return r
}
