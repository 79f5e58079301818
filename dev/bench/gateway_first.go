package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
)

// first is how long one message takes to the provider's request, beside a bare workflow
// with one activity. Nothing else runs. Both are medians in milliseconds.
type first struct {
	Pairs int `json:"pairs"`
	// Call is from when the caller asks, Accepted from when it has the answer; there a request
	// that was faster than the answer counts as 0.
	Call     pair `json:"fromCallMs"`
	Accepted pair `json:"fromAcceptedMs"`
}

func (d *gatewayEnv) firstMessage(ctx context.Context) (f first, err error) {
	bare, err := spawn(ctx, d.role(roles.Bare, 0))
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	f.Pairs = d.o.count("pairs", 300)
	submit := d.submit
	submit.Body = roles.BirdBatch(1)
	ways := []func(context.Context) error{
		func(ctx context.Context) error { _, err := submit.Do(ctx); return err },
		d.startBareOne,
	}
	var call, accepted [2][]float64
	const warm = 20
	for i := range 2 * (f.Pairs + warm) {
		way := (i + i/2) % 2
		d.sink.note()
		began := time.Now()
		if err := ways[way](ctx); err != nil {
			return f, err
		}
		answered := time.Now()
		if err := d.awaitArrivals(ctx, 1); err != nil {
			return f, err
		}
		at := d.sink.arrivals()[0]
		if i >= 2*warm {
			call[way] = append(call[way], milliseconds(at.Sub(began)))
			accepted[way] = append(accepted[way], milliseconds(max(at.Sub(answered), 0)))
		}
		time.Sleep(20 * time.Millisecond) // until its workflow has ended
	}
	medians := func(of [2][]float64) pair {
		p := pair{Gateway: measure.Median(of[0]), Bare: measure.Median(of[1])}
		p.Ratio = p.Gateway / p.Bare
		return p
	}
	f.Call, f.Accepted = medians(call), medians(accepted)
	return f, nil
}

// startBareOne starts a bare workflow of one message.
func (d *gatewayEnv) startBareOne(ctx context.Context) error {
	id := "bare-" + uuid.NewString()
	_, err := d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: roles.BareQueue, Priority: temporal.Priority{PriorityKey: 3, FairnessKey: id},
	}, roles.BareName, roles.Input{Pool: 1, Messages: []roles.Message{{To: roles.Recipient(1), Text: roles.Text()}}})
	return err
}
