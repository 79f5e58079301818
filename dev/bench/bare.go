package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/worker"
)

const (
	bareName  = "Bare"
	bareQueue = "bare"
	postName  = "Post"
	postQueue = "bare-send"
)

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
