package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"volley/dev/bench/measure"
)

// warmth is how many messages go first, so that connections and pollers are there;
// they are not counted.
const warmth = 50

// sample is one measured batch.
type sample struct {
	Messages int     `json:"messages"`
	Seconds  float64 `json:"seconds"`
	// Speed is messages a second from the start to the last outcome, Start the share
	// of the start itself in that time.
	Speed float64 `json:"messagesPerSecond"`
	Start float64 `json:"startShare"`
	// Loop is the speed in relation to the loop's right before and after.
	Loop float64 `json:"ratioToLoop"`
	// Bare is that ratio in relation to the bare workflow's in the same round; 0 if
	// it was not measured.
	Bare float64 `json:"ratioToBare"`
	// Events, Bytes of history and Actions of Temporal Cloud are per message.
	Events  float64 `json:"eventsPerMessage"`
	Bytes   float64 `json:"historyBytesPerMessage"`
	Actions float64 `json:"actionsPer1000Messages"`
	// Memory is the peak of the worker's process in bytes.
	Memory int64 `json:"workerPeakBytes"`
	// P50 and P99 are of status queries while it ran, in milliseconds.
	P50 float64 `json:"statusP50ms"`
	P99 float64 `json:"statusP99ms"`
}

// measured runs a shape once in a process of its own.
func (b *environment) measured(ctx context.Context, s shape, n int, delay time.Duration) (m sample, h measure.Histories, err error) {
	p, err := spawn(ctx, b.role(s.role, delay))
	if err != nil {
		return m, h, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if _, err := s.send(ctx, b, min(n, warmth)); err != nil {
		return m, h, fmt.Errorf("warming up: %w", err)
	}
	before, err := p.ask(0)
	if err != nil {
		return m, h, err
	}
	d, err := s.send(ctx, b, n)
	if err != nil {
		return m, h, err
	}
	after, err := p.ask(0)
	if err != nil {
		return m, h, err
	}
	m = sample{
		Messages: n, Seconds: d.total.Seconds(), Speed: float64(n) / d.total.Seconds(),
		Start: d.start.Seconds() / d.total.Seconds(), Memory: p.peak(),
		P50: milliseconds(measure.Percentile(d.status, 50)), P99: milliseconds(measure.Percentile(d.status, 99)),
	}
	if d.workflow == "" {
		return m, h, nil
	}
	if h, err = measure.ReadHistories(ctx, b.client, d.workflow); err != nil {
		return m, h, err
	}
	m.Events, m.Bytes = measure.Per(float64(h.Events), n), measure.Per(float64(h.Bytes), n)
	m.Actions = measure.Per(1000*float64(int64(h.Actions)+after.Heartbeats-before.Heartbeats), n)
	return m, h, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
