package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/dev/bench/measure"
	"volley/dev/bench/roles"
	"volley/internal/message"
	"volley/starter"
)

// Dashboards.
const (
	watchers       = 1
	watchedBatches = 50
	watchEvery     = time.Second
	// atOnce is how many connections a browser has to one place.
	atOnce = 6
	// watchedMessages is a batch that runs long enough to measure watching itself and
	// not only its first look.
	watchedMessages = 5 * inlineMessages
)

// watched is how fast a batch is sent while dashboards look at it and at others.
type watched struct {
	Messages int `json:"messages"`
	// Alone is messages a second while nobody looks.
	Alone   float64 `json:"perSecondAlone"`
	Watched []looks `json:"watched"`
}

// looks is what looking at one kind of batches beside the one that runs does.
type looks struct {
	What  string  `json:"what"`
	Speed float64 `json:"perSecond"`
	// Ratio is the speed in relation to the one alone, of the same round.
	Ratio float64 `json:"ratio"`
	// Looks are answers a second, P50 and P99 of how long they took.
	Looks float64 `json:"looksPerSecond"`
	P50   float64 `json:"lookP50ms"`
	P99   float64 `json:"lookP99ms"`
	// Queries are those that reached Temporal, a second and batch.
	Queries float64 `json:"queriesPerSecondAndBatch"`
}

func (d *gatewayEnv) watched(ctx context.Context) (w watched, err error) {
	w.Messages = d.o.count("running", watchedMessages)
	kinds := map[string]batch{
		"batches that wait":       {tenant: roles.Tenant, dispatch: "message", due: time.Now().Add(24 * time.Hour)},
		"batches that have ended": {tenant: roles.Tenant, dispatch: "message"},
	}
	names := []string{"batches that have ended", "batches that wait"}
	others := map[string][]string{}
	for _, name := range names {
		for range watchedBatches - 1 {
			s, err := kinds[name].start(ctx, d.environment, batchMessages)
			if err != nil {
				return w, err
			}
			if kinds[name].due.IsZero() {
				if err := s.wait(ctx); err != nil {
					return w, err
				}
			}
			others[name] = append(others[name], s.ref.ID)
		}
	}
	var alone []float64
	rounds := map[string][]looks{}
	const nobody = "nobody"
	order := append([]string{nobody}, names...)
	for range d.o.rounds {
		round := map[string]looks{}
		for _, name := range order {
			l, err := d.seen(ctx, w.Messages, others[name])
			if err != nil {
				return w, err
			}
			round[name] = l
		}
		alone = append(alone, round[nobody].Speed)
		for _, name := range names {
			l := round[name]
			l.Ratio = l.Speed / round[nobody].Speed
			rounds[name] = append(rounds[name], l)
		}
		order = append(order[1:], order[0]) // each comes first as often
	}
	w.Alone = measure.Median(alone)
	for _, name := range names {
		w.Watched = append(w.Watched, medianLooks(name, rounds[name]))
	}
	return w, d.drop(ctx, others["batches that wait"])
}

// drop cancels batches.
func (d *gatewayEnv) drop(ctx context.Context, ids []string) error {
	s := starter.New(d.client, starter.Options{Store: d.store})
	for _, id := range ids {
		if _, err := s.Cancel(ctx, starter.Ref{Tenant: roles.Tenant, ID: id}, message.CancelRequest{}); err != nil {
			return err
		}
	}
	return nil
}

func medianLooks(name string, all []looks) looks {
	of := func(f func(looks) float64) float64 {
		var v []float64
		for _, l := range all {
			v = append(v, f(l))
		}
		return measure.Median(v)
	}
	return looks{
		What: name, Speed: of(func(l looks) float64 { return l.Speed }), Ratio: of(func(l looks) float64 { return l.Ratio }),
		Looks: of(func(l looks) float64 { return l.Looks }), P50: of(func(l looks) float64 { return l.P50 }),
		P99: of(func(l looks) float64 { return l.P99 }), Queries: of(func(l looks) float64 { return l.Queries }),
	}
}

// seen sends a batch while dashboards look at it and at others, which they have done
// before; nil is nobody.
func (d *gatewayEnv) seen(ctx context.Context, n int, others []string) (l looks, err error) {
	var w *watch
	if others != nil {
		w = d.startWatch(ctx, others)
		defer w.cancel()
		w.sawAll(ctx)
	}
	s, err := batch{tenant: roles.Tenant, dispatch: "message"}.start(ctx, d.environment, n)
	if err != nil {
		return l, err
	}
	before, err := d.gateway.ask(0)
	if err != nil {
		return l, err
	}
	if w != nil {
		w.begin(s.ref.ID)
	}
	err = s.wait(ctx)
	took := time.Since(s.began).Seconds()
	var times []time.Duration
	if w != nil {
		var fault error
		if times, fault = w.stop(); err == nil {
			err = fault
		}
	}
	if err != nil {
		return l, err
	}
	after, err := d.gateway.ask(0)
	return looks{
		Speed: float64(n) / took, Looks: float64(len(times)) / took, P50: medianOf(times), P99: milliseconds(measure.Percentile(times, 99)),
		Queries: float64(after.Queries-before.Queries) / took / watchedBatches,
	}, err
}

// watch is dashboards that look at batches.
type watch struct {
	env    *gatewayEnv
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   chan struct{} // closed when everybody has looked at all
	mu     sync.Mutex
	ids    []string
	times  []time.Duration // since begin
	fault  error
}

// startWatch has watchers look at batches, as many at once as browsers do, until stopped. A
// round that takes longer than watchEvery delays the next one.
func (d *gatewayEnv) startWatch(ctx context.Context, ids []string) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{env: d, cancel: cancel, once: make(chan struct{}), ids: ids}
	var first sync.WaitGroup
	for range watchers {
		first.Add(1)
		w.wg.Go(func() { w.run(ctx, sync.OnceFunc(first.Done)) })
	}
	go func() { first.Wait(); close(w.once) }()
	return w
}

func (w *watch) run(ctx context.Context, seen func()) {
	defer seen()
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		w.mu.Lock()
		ids := w.ids
		w.mu.Unlock()
		var g errgroup.Group
		g.SetLimit(atOnce)
		for _, id := range ids {
			g.Go(func() error {
				w.one(ctx, id)
				return nil
			})
		}
		_ = g.Wait() // faults are kept
		seen()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) one(ctx context.Context, id string) {
	began := time.Now()
	err := w.env.status(ctx, id)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.times = append(w.times, time.Since(began)); err != nil {
		w.fault = fmt.Errorf("batch %s: %w", id, err)
	}
}

// sawAll waits until everybody has looked at all once.
func (w *watch) sawAll(ctx context.Context) {
	select {
	case <-w.once:
	case <-ctx.Done():
	}
}

// begin has a batch looked at, too, and counts from now.
func (w *watch) begin(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids, w.times = append([]string{id}, w.ids...), nil
}

// stop ends the looking and says how long each look has taken.
func (w *watch) stop() ([]time.Duration, error) {
	w.cancel()
	w.wg.Wait()
	return w.times, w.fault
}

// status looks at one batch.
func (d *gatewayEnv) status(ctx context.Context, id string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.submit.URL+"/v1/batches/"+id, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+roles.Key)
	res, err := d.submit.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return err
}
