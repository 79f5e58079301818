package main

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"volley/dev/bench/measure"
	"volley/dev/bench/play"
	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/starter"
)

// beside is what a submit costs beside a start of the same workflow, with the same
// input and the same options, by a client that has them ready.
type beside struct {
	Pairs  int `json:"pairs"`
	Rounds int `json:"rounds"`
	// Gateway and Start are medians of the time until a batch is accepted while
	// batches come in at submitsPerSecond, the one way and the other in turn; Ratio is
	// that of the two. Those alone wait until a batch has ended before the next.
	Gateway      float64 `json:"gatewayMs"`
	Start        float64 `json:"startMs"`
	Ratio        float64 `json:"ratio"`
	GatewayAlone float64 `json:"gatewayAloneMs"`
	StartAlone   float64 `json:"startAloneMs"`
	RatioAlone   float64 `json:"ratioAlone"`
	// The speeds are batches accepted a second, by submitters at once.
	GatewaySpeed float64 `json:"gatewayPerSecond"`
	StartSpeed   float64 `json:"startPerSecond"`
	SpeedRatio   float64 `json:"speedRatio"`
}

// prepared is a start of a workflow as the starter asks for it.
type prepared struct {
	client.Client
	options  client.StartWorkflowOptions
	workflow any
	args     []any
}

// ExecuteWorkflow keeps what it is asked for and starts nothing.
func (p *prepared) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	p.options, p.workflow, p.args = o, workflow, args
	return nil, nil
}

// prepare does all that the gateway does for a batch before Temporal is asked.
func (d *door) prepare(ctx context.Context) (*prepared, error) {
	bird, err := dialect.Named("bird")
	if err != nil {
		return nil, err
	}
	at := dialect.BirdChannel{Workspace: play.Workspace, Channel: play.Channel}
	role := d.role(play.Gateway, 0)
	o := intake.Options{Dialect: bird, Options: dialect.Options{Now: time.Now(), Metadata: at.Metadata()}}
	q, err := intake.Open(bytes.NewReader(d.body), role.Caller(), play.Limits(), o)
	if err != nil {
		return nil, err
	}
	whole := q.Whole()
	if err := whole.Refusal(); err != nil {
		return nil, err
	}
	p := &prepared{Client: d.client}
	s := starter.New(p, starter.Options{InFlight: role.InFlight, Store: d.store})
	_, err = s.Start(ctx, starter.Request{
		Ref: starter.Ref{Tenant: play.Tenant, ID: uuid.NewString()}, Body: whole.Body, Batch: whole.Batch,
		Flags: map[string]string{"workspace": at.Workspace, "channel": at.Channel},
	})
	return p, err
}

// start starts what was prepared.
func (d *door) start(ctx context.Context, p *prepared) error {
	_, err := d.client.ExecuteWorkflow(ctx, p.options, p.workflow, p.args...)
	return err
}

func (d *door) besideBare(ctx context.Context) (b beside, err error) {
	b.Pairs, b.Rounds = d.o.count("pairs", 300), d.o.rounds
	gateway, bare, err := d.pairs(ctx, b.Pairs, false)
	if err != nil {
		return b, err
	}
	b.Gateway, b.Start, b.Ratio = medianOf(gateway), medianOf(bare), medianOf(gateway)/medianOf(bare)
	if gateway, bare, err = d.pairs(ctx, b.Pairs, true); err != nil {
		return b, err
	}
	b.GatewayAlone, b.StartAlone, b.RatioAlone = medianOf(gateway), medianOf(bare), medianOf(gateway)/medianOf(bare)
	var through, direct, ratios []float64
	for round := range b.Rounds {
		var speeds [2]float64
		for k := range speeds {
			way := (k + round) % 2
			if speeds[way], err = d.burst(ctx, way == 0); err != nil {
				return b, err
			}
		}
		through, direct, ratios = append(through, speeds[0]), append(direct, speeds[1]), append(ratios, speeds[0]/speeds[1])
	}
	b.GatewaySpeed, b.StartSpeed, b.SpeedRatio = measure.Median(through), measure.Median(direct), measure.Median(ratios)
	return b, nil
}

// pairs starts batches through the gateway and directly in turn, n each way.
func (d *door) pairs(ctx context.Context, n int, alone bool) (gateway, bare []time.Duration, err error) {
	d.sink.note()
	every := time.Second / submitsPerSecond
	if alone {
		every = 0
	}
	err = ticking(ctx, 2*n, every, func(i int, _ time.Time) error {
		p, err := d.prepare(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		if (i+i/2)%2 == 0 { // neither way always comes after the other
			_, err = d.submit(ctx)
			gateway = append(gateway, time.Since(began))
		} else {
			err = d.start(ctx, p)
			bare = append(bare, time.Since(began))
		}
		if err != nil || !alone {
			return err
		}
		return d.reach(ctx, (i+1)*batchMessages)
	})
	if err == nil {
		err = d.reach(ctx, 2*n*batchMessages)
	}
	return gateway, bare, err
}

// burst is how many batches a second are accepted that submitters start at once, one
// after the other.
func (d *door) burst(ctx context.Context, gateway bool) (float64, error) {
	d.sink.note()
	n := d.o.count("burst", 4*submitters)
	ready := make(chan *prepared, n)
	for range n {
		p, err := d.prepare(ctx)
		if err != nil {
			return 0, err
		}
		ready <- p
	}
	close(ready)
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for range submitters {
		g.Go(func() error {
			for p := range ready {
				var err error
				if gateway {
					_, err = d.submit(gctx)
				} else {
					err = d.start(gctx, p)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	speed := float64(n) / time.Since(began).Seconds()
	return speed, d.reach(ctx, n*batchMessages)
}
