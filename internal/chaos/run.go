package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

const (
	// settle is how long the sink is not believed after a doubt. It knows at once what it
	// has; the rest is for what is still on its way.
	settle = 3 * time.Second
	// shortRun is how long faults go on at least, and longMessage how much longer each
	// message makes them.
	shortRun    = 20 * time.Second
	longMessage = 6 * time.Millisecond
	// endWait is how long batches may take to end once nothing is disturbed any more.
	endWait = 4 * time.Minute
	// pollEvery is how often the status of every open batch is asked for.
	pollEvery = 500 * time.Millisecond
	// callWait bounds one call of the starter.
	callWait = 40 * time.Second
	// sinkSecret signs what only this process reads.
	sinkSecret = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtY2hhb3M="
)

// run is one run.
type run struct {
	o    *Options
	plan *plan
	// name is in every id of the run.
	name, dir string
	sink      *sink
	slots     []*slot
	cluster   *Cluster

	// quiet is held where nothing may be disturbed for a moment, once by each kind of fault.
	quiet [2]sync.Mutex
	// away is held while the store is away, and where it is needed.
	away sync.Mutex
	// calm ends when faults end.
	calm context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	batches  []*Batch
	holds    []HoldWindow
	faults   map[string]int
	controls map[string]int
	polls    int
	noAnswer int
}

// slot is one worker with its connections.
type slot struct {
	temporal, provider *proxy
	// store is nil where no proxy can stand before it.
	store   *proxy
	process *process
}

// open prepares a run: the sink, the workers, and what they connect through.
func open(ctx context.Context, o *Options) (r *run, err error) {
	r = &run{o: o, plan: newPlan(o), faults: map[string]int{}, controls: map[string]int{}}
	r.calm, r.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			r.close()
			_ = os.RemoveAll(r.dir)
		}
	}()
	r.name = fmt.Sprintf("chaos-%d-%s", o.Seed, time.Now().UTC().Format("20060102T150405.000"))
	if r.dir, err = os.MkdirTemp("", r.name+"-"); err != nil {
		return r, fmt.Errorf("directory of the run: %w", err)
	}
	if r.sink, err = openSink(ctx, o.Seed, o.Faults); err != nil {
		return r, err
	}
	own, err := r.writeConfig("volley.yaml", r.sink.url, nil)
	if err != nil {
		return r, err
	}
	if r.cluster, err = o.Open(ctx, own); err != nil {
		return r, err
	}
	n, err := r.cluster.OpenBatches(ctx)
	switch {
	case err != nil:
		return r, err
	case n > 0 && !o.Here:
		return r, fmt.Errorf("%w: %d of them; --here runs beside them", ErrOpenBatches, n)
	}
	// The run's folder is new, also where batches of others run out of the store around it.
	if _, err := r.cluster.Batches.SetupStore(ctx, true); err != nil {
		return r, err
	}
	for i := range workers {
		s, err := r.openSlot(ctx, i)
		if s != nil {
			r.slots = append(r.slots, s)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// openSlot starts a worker behind proxies of its own.
func (r *run) openSlot(ctx context.Context, i int) (s *slot, err error) {
	s = &slot{}
	if s.temporal, err = openProxy(ctx, r.o.Temporal); err != nil {
		return s, err
	}
	if s.provider, err = openProxy(ctx, strings.TrimPrefix(r.sink.url, "http://")); err != nil {
		return s, err
	}
	if endpoint := r.o.storeEndpoint(); endpoint != nil {
		host := endpoint.Host
		if endpoint.Port() == "" {
			host = net.JoinHostPort(endpoint.Hostname(), "80")
		}
		if s.store, err = openProxy(ctx, host); err != nil {
			return s, err
		}
	}
	file, err := r.writeConfig(fmt.Sprintf("worker-%d.yaml", i), "http://"+s.provider.address(), s.store)
	if err != nil {
		return s, err
	}
	env := append(append([]string(nil), r.o.Env...), "TEMPORAL_ADDRESS="+s.temporal.address())
	if r.o.Keyset != "" {
		env = append(env, KeysetVariable+"="+r.o.Keyset)
	}
	if r.o.ServerName != "" {
		env = append(env, "TEMPORAL_TLS_SERVER_NAME="+r.o.ServerName)
	}
	s.process, err = startProcess(r.o.Executable, []string{"worker", "--config", file, "--listen", ""}, env, filepath.Join(r.dir, fmt.Sprintf("worker-%d.log", i)))
	return s, err
}

// account is the name of an account of the run; queues are named after it.
func (r *run) account(role string) string { return r.name + "-" + role }

func (r *run) ref(b *Batch) starter.Ref { return starter.Ref{ID: b.ID} }

// accounts are all of the run.
func (r *run) accounts() map[string]Account {
	return map[string]Account{
		r.account(roleAsked):  {Asked: true},
		r.account(roleHeld):   {Asked: true},
		r.account(roleBlind):  {},
		r.account(roleResend): {Resends: true},
	}
}

// rate is that of each account: fast enough for the run, and so slow that faults come
// while messages are under way.
func (r *run) rate() int { return max(20, r.o.Messages/40) }

// run sends everything, disturbs it, and returns what was seen.
func (r *run) run(ctx context.Context) (*Evidence, error) {
	lasts := shortRun + time.Duration(r.o.Messages)*longMessage
	r.o.Say("seed %d: %d messages in %d batches, faults for %s", r.o.Seed, r.o.Messages, len(r.plan.batches), lasts.Round(time.Second))
	var disturbing, sending sync.WaitGroup
	errs := make([]error, len(r.plan.batches))
	disturbing.Go(func() { r.disturb(&r.quiet[0], r.plan.processes) })
	disturbing.Go(func() { r.disturb(&r.quiet[1], r.plan.links) })
	disturbing.Go(func() { r.hold(ctx) })
	end := time.AfterFunc(lasts, r.stop)
	defer end.Stop()
	for i := range r.plan.batches {
		sending.Go(func() { errs[i] = r.batch(ctx, &r.plan.batches[i]) })
	}
	disturbing.Wait()
	r.sink.behave()
	r.o.Say("seed %d: nothing is disturbed any more, %d messages were taken by now", r.o.Seed, r.sink.accepted())
	sending.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	e := &Evidence{Accounts: r.accounts(), Requests: r.sink.log(), Holds: r.holds}
	for _, b := range r.batches {
		e.Batches = append(e.Batches, *b)
	}
	return e, nil
}

// close ends all processes and connections of the run, and takes away what it left.
func (r *run) close() {
	r.stop()
	if r.cluster != nil {
		r.clean()
	}
	for _, s := range r.slots {
		if s.process != nil {
			s.process.close()
		}
		for _, p := range []*proxy{s.temporal, s.provider, s.store} {
			if p != nil {
				p.close()
			}
		}
	}
	if r.sink != nil {
		r.sink.close()
	}
	if r.cluster != nil {
		r.cluster.Close()
	}
	if dir := r.ownStore(); dir != "" {
		_ = os.RemoveAll(dir) // it was made for this run
	}
}

// clean takes the run's workflows off the server as far as that goes.
func (r *run) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.mu.Lock()
	all := append([]*Batch(nil), r.batches...)
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, b := range all {
		wg.Go(func() {
			switch {
			case b.Open != "" || !b.Final.State.Closed():
				_ = r.cluster.Terminate(ctx, message.WorkflowID("", b.ID))
			case r.ownStore() == "":
				_ = r.cluster.Batches.Delete(ctx, r.ref(b))
			}
		})
	}
	wg.Wait()
	// There is none where nothing was held, or encrypted.
	_ = r.cluster.Terminate(ctx, contract.HoldsID(r.name))
	_ = r.cluster.Terminate(ctx, contract.KeysetID(r.name))
}

// count counts a fault or a control.
func (r *run) count(in map[string]int, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in[what]++
}
