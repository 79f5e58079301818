package e2e_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/starter"
)

// messages is the mode of tests of large batches in message dispatch.
const messages = "message"

// inBothWays runs a test of large batches in message and in group dispatch. Each
// has a lab of its own.
func inBothWays(t *testing.T, slow time.Duration, test func(t *testing.T, l *lab)) {
	t.Helper()
	for _, way := range []string{messages, groups} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			test(t, shared.own(t, way, slow))
		})
	}
}

// own is a lab of one test on the same server: its store, its sandbox, whose slow
// answers take as long as given, and its queue are nobody else's. Its account has
// the queue's name.
func (l *lab) own(t *testing.T, way string, slow time.Duration) *lab {
	t.Helper()
	o := &lab{server: l.server, client: l.client, options: l.options, converter: l.converter, dir: t.TempDir(), mode: way}
	o.sandbox = sandbox.New(sandbox.Options{Secret: hookSecret, Slow: slow})
	box := httptest.NewServer(o.sandbox)
	t.Cleanup(box.Close)
	o.url = box.URL
	var err error
	o.address = addressOf(o.dir)
	o.store, err = store.Open(t.Context(), o.address, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.store.Close()) })
	_, err = o.store.Mark(t.Context(), nil) // while batches run out of other tests' stores
	require.NoError(t, err)
	o.starter = o.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy})
	o.served = []provider.Account{o.hook(queueOf(t), true)}
	return o
}

// queueOf is the task queue of a test's own, and the name of its account.
func queueOf(t *testing.T) string { return "large-" + message.KeyOf(t.Name()).String() }

// serve runs a worker for the lab's accounts until the test ends.
func (l *lab) serve(t *testing.T) {
	t.Helper()
	stop, err := l.work(queueOf(t), l.served)
	require.NoError(t, err)
	t.Cleanup(stop)
}

// large starts a batch of the test through its account.
func (l *lab) large(t *testing.T, all []note) starter.Ref {
	t.Helper()
	return l.start(t, l.starter, l.served[0].Name, all)
}

// some waits until the sandbox has accepted so many messages.
func (l *lab) some(t *testing.T, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return l.sandbox.Counts().Total >= n }, 5*time.Minute, time.Millisecond)
}
