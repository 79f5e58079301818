package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/google/uuid"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/temporalclient"
	"volley/starter"
	"volley/worker"
)

const (
	bodySize = 200
	account  = "sink"
)

// bed is what all shapes run on: one server, one sink, one client.
type bed struct {
	o      options
	server *server.Server
	sink   *httptest.Server
	client client.Client
	ends   []func()
}

func lay(ctx context.Context, o options) (*bed, error) {
	b := &bed{o: o}
	ok := false
	defer func() {
		if !ok {
			b.close()
		}
	}()
	var err error
	if b.server, err = server.Start(ctx, server.Options{DB: o.db, Log: zap.NewNop()}); err != nil {
		return nil, err
	}
	b.ends = append(b.ends, func() { _ = b.server.Stop() })
	b.sink = httptest.NewServer(sandbox.New(sandbox.Options{}).Handler())
	b.ends = append(b.ends, b.sink.Close)
	b.client, err = temporalclient.Dial(ctx, temporalclient.Options{
		Log: zap.NewNop(), EnvLookup: env{"TEMPORAL_ADDRESS": b.server.Address()},
	})
	if err != nil {
		return nil, err
	}
	b.ends = append(b.ends, b.client.Close)
	if err := b.volley(ctx); err != nil {
		return nil, err
	}
	if err := b.bare(); err != nil {
		return nil, err
	}
	ok = true
	return b, nil
}

func (b *bed) close() {
	for i := len(b.ends) - 1; i >= 0; i-- {
		b.ends[i]()
	}
}

func (b *bed) account() provider.Account {
	return provider.Account{
		Name: account, Provider: "webhook", URL: b.sink.URL + "/sink", Secret: "bench-bench-bench-bench",
		AllowPrivate: true, Concurrency: b.o.inFlight,
	}
}

// volley starts Volley's own worker.
func (b *bed) volley(ctx context.Context) error {
	accounts, err := provider.Open([]provider.Account{b.account()}, provider.Options{Log: zap.NewNop()})
	if err != nil {
		return err
	}
	w, err := worker.New(b.client, accounts, worker.Options{Log: zap.NewNop(), Drain: time.Second})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	b.ends = append(b.ends, func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, "bench: worker:", err)
		}
	})
	return nil
}

// measured runs a shape and profiles it when that was asked for.
func (b *bed) measured(ctx context.Context, profile bool, s shape) (sample, error) {
	if b.o.profile != "" && profile {
		f, err := os.Create(b.o.profile)
		if err != nil {
			return sample{}, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return sample{}, err
		}
		defer pprof.StopCPUProfile()
	}
	return s.send(ctx, b)
}

// history weighs a closed workflow's history.
func (b *bed) history(ctx context.Context, id string) (events, size float64, err error) {
	d, err := b.client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return 0, 0, err
	}
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return 0, 0, fmt.Errorf("%s is %s", id, info.GetStatus())
	}
	n := float64(b.o.messages)
	return float64(info.GetHistoryLength()) / n, float64(info.GetHistorySizeBytes()) / n, nil
}

// text is the message that both send, 200 bytes long.
func text() string { return strings.Repeat("0123456789", bodySize/10) }

// sendBatch sends a batch through Volley.
func sendBatch(summaries bool) func(context.Context, *bed) (sample, error) {
	return func(ctx context.Context, b *bed) (sample, error) {
		s := starter.New(b.client, starter.Options{InFlight: b.o.inFlight, NoSummaries: !summaries})
		batch := &message.Batch{
			V: message.Version, Dialect: "volley", CreatedAt: time.Now(), Account: account,
			Template: message.Template{Body: json.RawMessage(`{}`), TextPaths: [][]string{{"text"}}},
		}
		body, err := json.Marshal(map[string]string{"text": text()})
		if err != nil {
			return sample{}, err
		}
		for i := range b.o.messages {
			batch.Messages = append(batch.Messages, message.Message{To: fmt.Sprintf("+1555%07d", i), Body: body})
		}
		router := message.Router{Accounts: map[string]message.Policy{account: b.account().Policy()}}
		router.Accept(batch, func(i int) string { return fmt.Sprint(i) })
		ref := starter.Ref{ID: "bench-" + uuid.NewString()}
		began := time.Now()
		if _, err := s.Start(ctx, starter.Request{Ref: ref, Body: []byte(ref.ID), Batch: batch}); err != nil {
			return sample{}, err
		}
		st, err := s.Wait(ctx, ref)
		took := time.Since(began)
		if err != nil {
			return sample{}, err
		}
		if st.Counts[message.Sent] != b.o.messages {
			return sample{}, fmt.Errorf("not all were sent: %v", *st.Counts)
		}
		m := sample{Seconds: took.Seconds()}
		m.Events, m.Bytes, err = b.history(ctx, starter.WorkflowID(ref))
		return m, err
	}
}

// env is the environment that the client's settings come from.
type env map[string]string

// LookupEnv and Environ make env an envconfig.EnvLookup.
func (e env) LookupEnv(k string) (string, bool) { v, ok := e[k]; return v, ok }

func (e env) Environ() []string {
	var all []string
	for k, v := range e {
		all = append(all, k+"="+v)
	}
	return all
}
