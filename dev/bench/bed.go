package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/google/uuid"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
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
	bodySize  = 200
	account   = "sink"
	bareName  = "Bare"
	bareQueue = "bare"
	postName  = "Post"
	postQueue = "bare-send"
)

// bed is what all shapes run on: one server, one sink, one client.
type bed struct {
	o      options
	server *server.Server
	sink   *httptest.Server
	client client.Client
	body   []byte // the request that the webhook sender makes
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
	b.ends = append(b.ends, func() { cancel(); <-done })
	return nil
}

// bare starts the workers of the bare workflow, with the options of Volley's.
func (b *bed) bare() error {
	w := sdk.New(b.client, bareQueue, sdk.Options{
		LocalActivityWorkerOnly:    true,
		WorkflowTaskPollerBehavior: sdk.NewPollerBehaviorAutoscaling(sdk.PollerBehaviorAutoscalingOptions{}),
	})
	w.RegisterWorkflowWithOptions(bareWorkflow, workflow.RegisterOptions{Name: bareName})
	s := sdk.New(b.client, postQueue, worker.SendOptions(b.account(), time.Second, nil))
	p := poster{url: b.sink.URL + "/sink", http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.o.inFlight}}}
	s.RegisterActivityWithOptions(p.post, activity.RegisterOptions{Name: postName})
	for _, x := range []sdk.Worker{w, s} {
		if err := x.Start(); err != nil {
			return err
		}
		b.ends = append(b.ends, x.Stop)
	}
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

// bare sends a batch through the bare workflow.
func bare(ctx context.Context, b *bed) (sample, error) {
	in := bareInput{Pool: b.o.inFlight}
	for i := range b.o.messages {
		in.Messages = append(in.Messages, bareMessage{To: fmt.Sprintf("+1555%07d", i), Text: text()})
	}
	id := "bare-" + uuid.NewString()
	began := time.Now()
	run, err := b.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: bareQueue}, bareName, in)
	if err != nil {
		return sample{}, err
	}
	var sent int
	if err := run.Get(ctx, &sent); err != nil {
		return sample{}, err
	}
	m := sample{Seconds: time.Since(began).Seconds()}
	if sent != b.o.messages {
		return m, errors.New("not all were sent")
	}
	m.Events, m.Bytes, err = b.history(ctx, id)
	return m, err
}

type bareInput struct {
	Pool     int           `json:"pool"`
	Messages []bareMessage `json:"messages"`
}

type bareMessage struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// bareWorkflow is the least that sends each message by one activity: a pool of
// coroutines over a cursor.
func bareWorkflow(ctx workflow.Context, in bareInput) (int, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: postQueue, StartToCloseTimeout: 30 * time.Second, DisableEagerExecution: true,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	wg := workflow.NewWaitGroup(ctx)
	next, sent := 0, 0
	for range min(in.Pool, len(in.Messages)) {
		wg.Go(ctx, func(ctx workflow.Context) {
			for next < len(in.Messages) {
				m := in.Messages[next]
				next++
				var ok bool
				if workflow.ExecuteActivity(ctx, postName, m).Get(ctx, &ok) == nil && ok {
					sent++
				}
			}
		})
	}
	wg.Wait(ctx)
	return sent, nil
}

// poster makes the request that the webhook sender makes.
type poster struct {
	url  string
	http *http.Client
}

func (p poster) post(ctx context.Context, m bareMessage) (bool, error) {
	id := uuid.NewString()
	body, err := json.Marshal(map[string]any{"type": "message", "timestamp": time.Now(), "data": map[string]any{
		"batch": "bench", "id": id, "index": 0, "to": m.To, "channel": "", "text": m.Text, "reference": "",
		"metadata": map[string]any{}, "content": map[string]string{"text": m.Text},
	}})
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	res, err := p.http.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode/100 == 2, err
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
