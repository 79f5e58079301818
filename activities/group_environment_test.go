package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/workflows/contract"
)

// stored puts n messages to the account hook into a new store; edit changes each
// before it is added.
func stored(t testing.TB, n int, edit func(i int, m *message.Message)) (s *store.Store, dir string) {
	t.Helper()
	s = storeAt(t, "mem://")
	return s, fill(t, s, n, edit)
}

func storeAt(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fill puts n messages to the account hook into a store, as a batch.
func fill(t testing.TB, s *store.Store, n int, edit func(i int, m *message.Message)) (dir string) {
	t.Helper()
	header := &message.Batch{
		V: message.Version, ID: "b", Tenant: "default", CreatedAt: time.Now(), Dialect: "volley", Dispatch: "group",
		TTL: time.Hour.Milliseconds(), Metadata: json.RawMessage(`{"batch":1}`),
		Template: message.Template{
			Body: json.RawMessage(`{"text":"Hi ${name}"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}},
		},
		Hops:     [][]message.Hop{{{Account: "hook", Channels: []string{"SMS"}}}},
		Policies: map[string]message.Policy{"hook": {Provider: "webhook"}},
	}
	w, err := s.Create(t.Context(), header, store.WriteOptions{TempDir: t.TempDir()})
	require.NoError(t, err)
	for i := range n {
		m := message.Message{To: fmt.Sprintf("+1555%07d", i), Params: map[string]string{"name": fmt.Sprint("Ann ", i)}}
		if edit != nil {
			edit(i, &m)
		}
		require.NoError(t, w.Add(t.Context(), &m))
	}
	_, err = w.Finish(t.Context())
	require.NoError(t, err)
	return w.Dir()
}

// beats is a server that takes heartbeats. It remembers them.
type beats struct {
	// answer is what it says to the nth, from 0; nil is that it took it.
	answer func(ctx context.Context, n int) error

	mu    sync.Mutex
	said  []contract.GroupProgress
	at    []time.Time
	taken int
}

func (b *beats) RecordActivityHeartbeat(ctx context.Context, token []byte, details ...any) error {
	p, ok := details[0].(contract.GroupProgress)
	if len(token) == 0 || !ok || len(details) != 1 {
		return errors.New("this is no heartbeat of a group")
	}
	b.mu.Lock()
	n := len(b.said)
	b.said, b.at = append(b.said, p), append(b.at, time.Now())
	b.mu.Unlock()
	if b.answer != nil {
		if err := b.answer(ctx, n); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.taken = p.Watermark
	b.mu.Unlock()
	return nil
}

// watermark is that of the last heartbeat that was taken.
func (b *beats) watermark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

// lot is a group in its surroundings.
type lot struct {
	acts  *activities.Activities
	store *store.Store
	beats *beats
	in    contract.GroupInput
	// started is called when the group has started all that it starts.
	started func()
}

// newLot is a group of the n messages of a store, through the account hook.
func newLot(t testing.TB, s provider.Sender, account provider.Account, n int, edit func(i int, m *message.Message)) *lot {
	t.Helper()
	st, dir := stored(t, n, edit)
	l := &lot{store: st, beats: &beats{}}
	account.Name = "hook"
	l.acts = activities.New(activities.Options{
		Senders: accounts{"hook": s}, Accounts: []provider.Account{account}, Store: st, Heartbeats: l.beats,
	})
	l.in = contract.GroupInput{V: message.Version, Dir: dir, Segment: 1, Account: "hook", Spans: [][2]int{{0, n}}}
	return l
}

// send runs the group as a worker does, and returns its outcomes after a way
// through JSON.
func (l *lot) send(t testing.TB) contract.Outcomes {
	t.Helper()
	var res contract.GroupResult
	value, err := within(l.started, l.acts.SendGroup, l.in)
	require.NoError(t, err)
	require.NoError(t, value.Get(&res))
	require.Equal(t, message.Version, res.V)
	return res.Outcomes
}

type encoded interface{ Get(any) error }

// within runs an activity that may take ten minutes. It calls started, unless that is
// nil, when it no longer waits for a turn.
func within(started func(), do any, in ...any) (encoded, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(time.Hour)
	if started != nil {
		env.SetWorkerOptions(worker.Options{BackgroundActivityContext: activities.WithStarted(context.Background(), started)})
	}
	env.RegisterActivity(do)
	return env.ExecuteActivity(do, in...)
}

// kinds counts outcomes by kind and code.
func kinds(outcomes contract.Outcomes) map[string]int {
	n := map[string]int{}
	for _, o := range outcomes {
		k := o.Kind
		if o.Code != "" {
			k += " " + o.Code
		}
		n[k]++
	}
	return n
}

// taking is a sender that takes every message after a while.
func taking(wait time.Duration) *sender {
	return &sender{answer: func(_ context.Context, m message.Outgoing) (message.Receipt, error) {
		time.Sleep(wait)
		return message.Receipt{ProviderID: "p-" + m.To}, nil
	}}
}
