package keywatch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"volley/internal/announce"
	"volley/internal/encryption"
	"volley/internal/store"
	"volley/internal/temporalclient"
)

const (
	// defaultEvery is how long after a look the next one is made, and again where the keyset
	// is not right.
	defaultEvery = time.Minute
	again        = 5 * time.Second
	// lookWait bounds a look, and reportWait what a process takes to say which keys it has.
	lookWait   = 20 * time.Second
	reportWait = 10 * time.Second
	// leaveWait bounds the report of a process that ends.
	leaveWait = 5 * time.Second
)

// errNotYet is why a process does not work that has not looked yet.
var errNotYet = errors.New("the keyset is not right yet")

// Options configure a Watch.
type Options struct {
	// Client is one with the keyset, and Temporal are the options that it was made with.
	Client   client.Client
	Temporal temporalclient.Options
	// TaskQueue is that of the workflows.
	TaskQueue string
	// Role says what the process is, as worker.
	Role string
	// Source is where the keyset comes from: a file is read again.
	Source string
	// Store is that of large batches; nil is none.
	Store *store.Store
	// Every is how long after a look the next one is made; 0 is a minute.
	Every time.Duration
	// Now is this machine's clock; nil is time.Now.
	Now func() time.Time
}

// Watch looks again and again whether the keyset of a process is that of the batches. It is
// safe for concurrent use.
type Watch struct {
	o                   Options
	namespace, identity string
	log                 *zap.Logger
	missing             func(float64)

	mu sync.Mutex
	// wrong is why nothing may be taken on; nil is that all is right.
	wrong error
	// changed is closed when wrong changes.
	changed chan struct{}

	// What follows is Run's alone.
	// since is when the keys were read that are in use, and reported when and what was said
	// of them last.
	since      time.Time
	reported   string
	reportedAt time.Time
	// began says that Temporal may have heard a report, also where nobody has told so.
	began bool
	// logged are what was said last of each kind.
	logged map[string]string
}

// New returns a watch. Until Run has looked nothing may be taken on.
func New(o Options) (*Watch, error) {
	settings, err := temporalclient.ClientOptions(o.Temporal)
	if err != nil {
		return nil, err
	}
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Watch{
		o: o, namespace: settings.Namespace, identity: settings.Identity, log: cmp.Or(o.Temporal.Log, zap.NewNop()), missing: func(float64) {},
		wrong: errNotYet, changed: make(chan struct{}), since: o.Now(), logged: map[string]string{},
	}
	if o.Temporal.Metrics != nil {
		w.missing = o.Temporal.Metrics.Gauge("volley_keyset_missing").Update
	}
	return w, nil
}

// Err is why nothing may be taken on now; nil is that the keyset is right.
func (w *Watch) Err() error {
	_, err := w.state()
	return err
}

func (w *Watch) state() (changed <-chan struct{}, wrong error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed, w.wrong
}

func (w *Watch) set(wrong error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if (w.wrong == nil) != (wrong == nil) {
		close(w.changed)
		w.changed = make(chan struct{})
	}
	w.wrong = wrong
}

// Wait returns once the keyset is right, or with ctx's error.
func (w *Watch) Wait(ctx context.Context) error {
	for {
		changed, wrong := w.state()
		if wrong == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// While does work as long as the keyset is right: its context ends when that ends, and it
// begins anew once the keyset is right again. It returns what work returns of itself, or nil
// when ctx has ended.
func (w *Watch) While(ctx context.Context, work func(context.Context) error) error {
	for {
		if w.Wait(ctx) != nil {
			return nil
		}
		working, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer stop()
			for {
				changed, wrong := w.state()
				if wrong != nil {
					return
				}
				select {
				case <-changed:
				case <-working.Done():
					return
				}
			}
		})
		err := work(working)
		stopped := working.Err() != nil
		stop()
		wg.Wait()
		if err != nil || !stopped || ctx.Err() != nil {
			return err
		}
	}
}

// Run looks again and again, and says which keys the process has, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for ctx.Err() == nil {
		w.reload()
		w.look(ctx)
		w.report(ctx)
		next := w.o.Every
		if w.Err() != nil {
			next = min(next, again)
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
	w.leave(ctx)
}

// reload reads the keyset's file again.
func (w *Watch) reload() {
	k := w.o.Temporal.Keyset
	if k.IsOff() {
		return
	}
	changed, err := k.Reload(w.o.Source)
	w.say("file", err, func(err error) {
		w.log.Warn("the keyset cannot be read again, so its keys stay as they were", zap.Error(err))
	}, nil)
	if changed {
		w.since = w.o.Now()
		w.log.Info("the keyset has changed", zap.Stringer("now", k))
	}
}

// look makes the state that of now. What cannot be looked at changes nothing.
func (w *Watch) look(ctx context.Context) {
	lctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	err := temporalclient.CheckKeyset(lctx, w.o.Client, w.o.TaskQueue, w.o.Temporal)
	if err == nil {
		err = w.unlock(lctx)
	}
	if ctx.Err() != nil {
		return
	}
	switch known := isWrong(err); {
	case err == nil:
		w.missing(0)
		w.set(nil)
	case known:
		w.missing(1)
		w.set(err)
	case w.Err() == nil:
		return // Temporal is away, as its own watch says
	}
	w.say("wrong", err, func(err error) {
		w.log.Error("nothing is taken on before the keyset is right", zap.Error(err), zap.Duration("again", again))
	}, func() { w.log.Info("the keyset is right again") })
}

// isWrong reports whether an error says for sure that the keyset is not right.
func isWrong(err error) bool {
	return slices.ContainsFunc([]error{encryption.ErrNoKey, encryption.ErrDamaged, store.ErrSealed, store.ErrDamaged}, func(known error) bool { return errors.Is(err, known) })
}

// unlock says what is wrong in the store. One that does not answer says nothing: small
// batches need none, and large ones wait for it.
func (w *Watch) unlock(ctx context.Context) error {
	if w.o.Store == nil {
		return nil
	}
	err := w.o.Store.Unlock(ctx)
	if err == nil || isWrong(err) {
		return err
	}
	w.say("store", err, func(err error) { w.log.Warn("the store does not say which key is in use", zap.Error(err)) }, nil)
	return nil
}

// say says an error once, and that it is over where it was said.
func (w *Watch) say(kind string, err error, say func(error), over func()) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch was := w.logged[kind]; {
	case text == was:
		return
	case text != "":
		say(err)
	case over != nil:
		over()
	}
	w.logged[kind] = text
}

// report says which keys the process has, where they changed or it was long ago.
func (w *Watch) report(ctx context.Context) {
	r := reportOf(w.identity, w.o.Role, w.o.Temporal.Keyset, w.since)
	identity := r.identity()
	if identity == w.reported && w.o.Now().Sub(w.reportedAt) < w.o.Every {
		return
	}
	rctx, cancel := context.WithTimeout(ctx, reportWait)
	defer cancel()
	w.began = true
	err := announce.Publish(rctx, w.o.Client.WorkflowService(), w.namespace, queueOf(w.o.TaskQueue), identity)
	if err == nil {
		w.reported, w.reportedAt = identity, w.o.Now()
	}
	if ctx.Err() == nil {
		w.log.Debug("which keys this process has was reported", zap.Error(err))
	}
}

// leave says that the process ends, so that nobody waits for it.
func (w *Watch) leave(ctx context.Context) {
	if !w.began {
		return
	}
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	r := reportOf(w.identity, w.o.Role, w.o.Temporal.Keyset, w.since)
	r.ended = true
	_ = announce.Publish(lctx, w.o.Client.WorkflowService(), w.namespace, queueOf(w.o.TaskQueue), r.identity()) // else it is forgotten in time
}
