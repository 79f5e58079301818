package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.uber.org/zap"

	"volley/dev/pgtest"
	"volley/dev/sandbox"
	"volley/dev/server"
	"volley/internal/callback"
	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/internal/suppression"
	"volley/internal/temporalclient"
	"volley/starter"
	"volley/worker"
)

const hookSecret = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gtc2FuZGJveCE="

// busy is how long a worker may take to answer that has all the other tests to do,
// perhaps without a cache.
const busy = 30 * time.Second

// lab is one Temporal server with a worker and a sandbox, shared by all tests.
type lab struct {
	server  *server.Server
	sandbox *sandbox.Sandbox
	url     string // the sandbox's
	client  client.Client
	// options are those of the client, and converter is what it decodes with.
	options   temporalclient.Options
	converter converter.DataConverter
	// interceptors change the code of its workers.
	interceptors []interceptor.ClientInterceptor
	starter      *starter.Starter
	// store holds large batches, at address: the directory dir, or the like of it at S3.
	store   *store.Store
	address string
	dir     string
	// mode is how its batches run; empty is in one workflow where they fit.
	mode string
	// served are the accounts of a lab of one test, nil those of the shared one.
	served []provider.Account
	// release is the build that its worker in this process is.
	release release
	// suppressions is the suppression list of its workers; nil is none.
	suppressions *suppression.List
	// now is the clock of its workers; nil is the machine's.
	now   func() time.Time
	stops []func()
}

// Modes: how batches run that could run in any way.
const (
	segments = "segments"
	groups   = "group"
)

// mode is what VOLLEY_MODE says.
var mode = os.Getenv("VOLLEY_MODE")

var shared *lab

func TestMain(m *testing.M) {
	if given := os.Getenv(envMember); given != "" {
		if err := member(given); err != nil {
			fmt.Fprintln(os.Stderr, "e2e, worker:", err)
			os.Exit(1)
		}
		return
	}
	var err error
	if shared, err = open(); errors.Is(err, pgtest.ErrMissing) {
		fmt.Println("skipped:", err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8") // most of the time they wait
	}
	code := m.Run()
	shared.close()
	os.Exit(code)
}

func open() (*lab, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l := &lab{mode: mode}
	if err := l.assemble(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// assemble starts what the lab consists of.
func (l *lab) assemble(ctx context.Context) (err error) {
	database, err := l.database(ctx)
	if err != nil {
		return err
	}
	if l.server, err = server.Start(ctx, server.Options{Log: zap.NewNop(), Postgres: database}); err != nil {
		return err
	}
	l.stops = append(l.stops, func() { _ = l.server.Stop() })
	l.sandbox = sandbox.New(sandbox.Options{Secret: hookSecret, Slow: 8 * time.Second})
	box := httptest.NewServer(l.sandbox)
	l.stops = append(l.stops, box.Close)
	l.url = box.URL
	if l.dir, err = os.MkdirTemp("", "volley-e2e-"); err != nil {
		return err
	}
	l.stops = append(l.stops, func() { _ = os.RemoveAll(l.dir) })
	if err := l.stores(); err != nil {
		return err
	}
	if err := l.join(ctx, l.server.Address()); err != nil {
		return err
	}
	if _, err := l.store.Mark(ctx, nil); err != nil { // other tests' batches run out of other stores
		return err
	}
	l.starter = l.newStarter(starter.Options{InFlight: 100, Wait: busy})
	stop, err := l.work("", l.accounts())
	if err != nil {
		return err
	}
	l.stops = append(l.stops, stop)
	return l.enlist()
}

// join connects to the server and opens the store.
func (l *lab) join(ctx context.Context, temporal string) (err error) {
	if err := l.connect(ctx, temporal, nil); err != nil {
		return err
	}
	l.stops = append(l.stops, l.client.Close)
	if l.store, err = store.Open(ctx, l.address, store.Options{}); err != nil {
		return err
	}
	l.stops = append(l.stops, func() { _ = l.store.Close() })
	return nil
}

// connect makes the client of a lab, which the caller closes.
func (l *lab) connect(ctx context.Context, temporal string, k *encryption.Keyset) (err error) {
	l.options = temporalclient.Options{Log: zap.NewNop(), EnvLookup: env{"TEMPORAL_ADDRESS": temporal}, Keyset: k}
	settings, err := temporalclient.ClientOptions(l.options)
	if err != nil {
		return err
	}
	l.converter = settings.DataConverter
	l.client, err = temporalclient.Dial(ctx, l.options)
	return err
}

// newStarter is a starter with the lab's store, in the mode of the tests.
func (l *lab) newStarter(o starter.Options) *starter.Starter {
	o.Store, o.DataConverter = l.store, l.converter
	if l.mode == segments {
		o.MaxMessages = 1
	}
	return starter.New(l.client, o)
}

func (l *lab) close() {
	for i := len(l.stops) - 1; i >= 0; i-- {
		l.stops[i]()
	}
}

// accounts are those that the lab's worker serves. "idle" is one that no worker
// serves, so that its attempts never start.
func (l *lab) accounts() []provider.Account {
	if l.served != nil {
		return l.served
	}
	return append(l.vendors(),
		l.hook("hook", true),
		l.hook("blind", false),
		l.unhurried(),
		l.hook("fragile", true),
		l.patient(),
		l.locked(),
		l.telling(),
	)
}

// unhurried is an account that is not asked about doubtful messages for a while.
func (l *lab) unhurried() provider.Account {
	a := l.hook("other", true)
	a.Settle = 6 * time.Second
	return a
}

// patient is an account whose retries come late.
func (l *lab) patient() provider.Account {
	a := l.hook("patient", true)
	a.RetryInitial = 40 * time.Second
	return a
}

// telling is an account that takes delivery reports.
func (l *lab) telling() provider.Account {
	a := l.hook("telling", true)
	a.ReportSecret = hookSecret
	return a
}

// locked is an account that the provider always refuses.
func (l *lab) locked() provider.Account {
	a := l.hook("locked", true)
	a.Secret = "whsec_d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3I="
	return a
}

// hook is a webhook account at the sandbox that can be asked, or cannot.
func (l *lab) hook(name string, reconcile bool) provider.Account {
	return provider.Account{
		Name: name, Provider: "webhook", URL: l.url + "/webhook/" + name, Secret: hookSecret, Reconcile: reconcile,
		AllowPrivate: true, Settle: time.Second, Concurrency: 100,
	}
}

// work runs a worker in this process until stop is called.
func (l *lab) work(queue string, accounts []provider.Account) (stop func(), err error) {
	reg, err := provider.Open(accounts, provider.Options{})
	if err != nil {
		return nil, err
	}
	cache, _ := strconv.Atoi(os.Getenv("VOLLEY_STICKY_CACHE"))
	posts := callback.New(callback.Options{
		Tenants: map[string]callback.Tenant{starter.DefaultTenant: {Secret: hookSecret}}, AllowPrivate: true,
	})
	batches := l.newStarter(starter.Options{TaskQueue: queue})
	own, err := temporalclient.ForWorker(context.Background(), l.client, l.options)
	if err == nil && l.interceptors != nil {
		own, err = client.NewClientFromExisting(own, client.Options{Interceptors: l.interceptors, DataConverter: l.converter})
	}
	if err != nil {
		return nil, err
	}
	o := worker.Options{
		DataConverter: l.converter,
		TaskQueue:     queue, StickyCache: cache, Now: l.now, Drain: time.Second, Store: l.store, Callbacks: posts,
		Reports: batches, Segments: batches,
		Changes:    starter.New(l.client, starter.Options{Store: l.store, DataConverter: l.converter, Wait: busy}).Changes(),
		Deployment: l.release.Deployment, Build: l.release.Build, Deferred: l.release.Deferred,
	}
	if l.suppressions != nil {
		o.Suppressions = l.suppressions
	}
	w, err := worker.New(own, reg, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	return func() { cancel(); wg.Wait(); own.Close() }, nil
}

// router knows all accounts, idle included.
func (l *lab) router() message.Router {
	r := message.Router{Accounts: map[string]message.Policy{"idle": l.hook("idle", true).Policy()}}
	for _, a := range l.accounts() {
		r.Accounts[a.Name] = a.Policy()
	}
	return r
}

// wait waits for the end and checks what must hold for every batch.
func (l *lab) wait(t *testing.T, ref starter.Ref) (message.Status, []message.Row) {
	t.Helper()
	status, err := l.starter.Wait(t.Context(), ref)
	for errors.Is(err, starter.ErrStillRunning) { // Temporal ended it, and has yet to end its segments
		status, err = l.starter.Wait(t.Context(), ref)
	}
	require.NoError(t, err)
	require.Equal(t, status.Total, status.Counts.Total())
	require.Zero(t, status.Counts.Open())
	var rows []message.Row
	for row, err := range l.starter.Results(t.Context(), ref, starter.ResultQuery{}) {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	if l.mode != "" { // large batches list their messages in the order of due times
		slices.SortFunc(rows, func(a, b message.Row) int { return a.Index - b.Index })
	}
	for i, row := range rows {
		require.Equal(t, i, row.Index, "each message is listed once, in order")
	}
	require.Len(t, rows, status.Total)
	counts, reasons := tally(rows)
	require.Equal(t, counts, *status.Counts)
	require.Equal(t, withoutDetails(reasons.Of(counts)), withoutDetails(status.Reasons))
	return status, rows
}

// tally counts rows.
func tally(rows []message.Row) (counts message.Counts, reasons message.Reasons) {
	for _, row := range rows {
		counts[row.State]++
		reasons.Count(row.State, row.Code, "", 1)
	}
	return counts, reasons
}

// remove deletes a batch. The server forgets it in its own time.
func (l *lab) remove(t *testing.T, ref starter.Ref) {
	t.Helper()
	if err := l.starter.Delete(t.Context(), ref); !errors.Is(err, starter.ErrDeletionPending) {
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		_, err := l.starter.Status(t.Context(), ref)
		return errors.Is(err, starter.ErrNotFound)
	}, 5*time.Minute, 50*time.Millisecond)
}

// received is how often the sandbox accepted each message, by our id.
func (l *lab) received() map[string]int {
	times := map[string]int{}
	for _, r := range l.sandbox.Received() {
		times[r.ID]++
	}
	return times
}

// arrived is how many messages to recipients of the test's own the sandbox accepted.
func (l *lab) arrived(t *testing.T) (n int) {
	prefix := strings.ReplaceAll(t.Name(), "/", ".") + "-"
	for _, r := range l.sandbox.Received() {
		if strings.HasPrefix(r.To, prefix) {
			n++
		}
	}
	return n
}

// agree checks the rows against what the sandbox has.
func (l *lab) agree(t *testing.T, rows []message.Row) {
	t.Helper()
	times := l.received()
	for _, row := range rows {
		n := times[row.ID]
		require.LessOrEqual(t, n, 1, "message %d went out %d times", row.Index, n)
		switch row.State {
		case message.Sent, message.Delivered, message.Undelivered:
			require.Equal(t, 1, n, "message %d is %s and never arrived", row.Index, row.State)
		case message.Unknown:
		default:
			require.Zero(t, n, "message %d arrived and is %s", row.Index, row.State)
		}
	}
}

// until asks for the status again and again until it is as wanted.
func (l *lab) until(t *testing.T, ref starter.Ref, is func(message.Status) bool) (s message.Status) {
	t.Helper()
	require.Eventually(t, func() (done bool) {
		status, err := l.starter.Status(t.Context(), ref)
		if done = err == nil && is(status); done {
			s = status
		}
		return done
	}, 5*time.Minute, 20*time.Millisecond)
	return s
}

type env map[string]string

func (e env) LookupEnv(k string) (string, bool) { v, ok := e[k]; return v, ok }

func (e env) Environ() (all []string) {
	for k, v := range e {
		all = append(all, k+"="+v)
	}
	return all
}
