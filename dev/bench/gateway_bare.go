package main

import (
	"context"
	"time"

	"volley/dev/bench/measure"
)

// beside is what a submit costs beside a start of the same workflow, with the same
// input and the same options, by a client that has them ready. Both come from one
// process, which is neither the gateway's nor the server's.
type beside struct {
	Pairs  int `json:"pairs"`
	Rounds int `json:"rounds"`
	// Paced is the time to accept a batch while batches come in at submitsPerSecond,
	// alternating between the two ways. Alone is the time when each batch comes after
	// the last has ended. Both are medians, with their ratio.
	Paced pair `json:"pacedMs"`
	Alone pair `json:"aloneMs"`
	// Speed is batches accepted a second, by submitters at once.
	Speed pair `json:"perSecond"`
}

// pair is one figure of both ways.
type pair struct {
	Gateway float64 `json:"gateway"`
	Bare    float64 `json:"bare"`
	Ratio   float64 `json:"ratio"`
}

func (d *gatewayEnv) besideBare(ctx context.Context) (b beside, err error) {
	b.Pairs, b.Rounds = d.o.count("pairs", 300), d.o.rounds
	if b.Paced, err = d.pairs(ctx, b.Pairs, time.Second/submitsPerSecond); err != nil {
		return b, err
	}
	if b.Alone, err = d.pairs(ctx, b.Pairs, 0); err != nil {
		return b, err
	}
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
	b.Speed = pair{measure.Median(through), measure.Median(direct), measure.Median(ratios)}
	return b, nil
}

// pairs starts batches through the gateway and directly in turn, n each way. Every 0
// waits for the end of each.
func (d *gatewayEnv) pairs(ctx context.Context, n int, every time.Duration) (pair, error) {
	d.sink.note()
	var took [2][]float64
	err := ticking(ctx, 2*n, every, func(i int, _ time.Time) error {
		way := (i + i/2) % 2 // neither always comes after the other
		t, err := d.caller.ask(1 - 2*way)
		took[way] = append(took[way], 1000*t.Seconds)
		if err != nil || every > 0 {
			return err
		}
		return d.awaitArrivals(ctx, (i+1)*batchMessages)
	})
	if err == nil {
		err = d.awaitArrivals(ctx, 2*n*batchMessages)
	}
	p := pair{Gateway: measure.Median(took[0]), Bare: measure.Median(took[1])}
	p.Ratio = p.Gateway / p.Bare
	return p, err
}

// burst returns how many batches a second are accepted when all submitters start
// batches at once, each of them one after another.
func (d *gatewayEnv) burst(ctx context.Context, gateway bool) (float64, error) {
	d.sink.note()
	n := d.o.count("burst", 4*submitters)
	ask := n
	if !gateway {
		ask = -n
	}
	t, err := d.caller.ask(ask)
	if err != nil {
		return 0, err
	}
	return float64(n) / t.Seconds, d.awaitArrivals(ctx, n*batchMessages)
}
