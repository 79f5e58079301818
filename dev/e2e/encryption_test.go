package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	sdkworker "go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// sealed is a lab of one test whose payloads are sealed, and an intruder beside it, whose
// workers poll the same queues without the key.
func sealed(t *testing.T, way string, k *encryption.Keyset) (l, intruder *lab) {
	t.Helper()
	l = shared.own(t, way, 100*time.Millisecond)
	copied := *l
	intruder = &copied
	require.NoError(t, l.connect(t.Context(), l.server.Address(), k))
	t.Cleanup(l.client.Close)
	l.starter = l.newStarter(starter.Options{TaskQueue: queueOf(t), InFlight: 100, Wait: busy})
	return l, intruder
}

func newKeyset(t *testing.T) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

// historyOf are the events of the workflows whose ids begin with that of a batch.
func (l *lab) historyOf(t *testing.T, ids ...string) (all []*historypb.HistoryEvent) {
	t.Helper()
	for _, id := range ids {
		events := l.client.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if errors.As(err, new(*serviceerror.NotFound)) {
				break // it has yet to begin
			}
			require.NoError(t, err)
			all = append(all, e)
		}
	}
	return all
}

// count is how many events are of a type.
func count(all []*historypb.HistoryEvent, kind enumspb.EventType) (n int) {
	for _, e := range all {
		if e.GetEventType() == kind {
			n++
		}
	}
	return n
}

// runsOf are the workflows that send the batch's messages.
func runsOf(way string, ref starter.Ref) []string {
	id := starter.WorkflowID(ref)
	if way == "" {
		return []string{id}
	}
	return []string{id, id + "~0001"}
}

// takeAttempts polls for the attempts of an account, and for nothing else.
func (l *lab) takeAttempts(t *testing.T, account string) (leave func()) {
	t.Helper()
	var parts []sdkworker.Worker
	for _, queue := range []string{"volley-send-" + account, "volley-group-" + account} {
		w := sdkworker.New(l.client, queue, sdkworker.Options{DisableWorkflowWorker: true, WorkerStopTimeout: time.Second, DisableRegistrationAliasing: true})
		for _, name := range []string{contract.SendName, contract.ReconcileName, contract.GroupName} {
			w.RegisterActivityWithOptions(func(context.Context, map[string]any) error {
				t.Errorf("%s was called without the key", name)
				return nil
			}, activity.RegisterOptions{Name: name})
		}
		require.NoError(t, w.Start())
		parts = append(parts, w)
	}
	return func() {
		for _, w := range parts {
			w.Stop()
		}
	}
}

// A worker without the key takes tasks and attempts, and does no harm.
func TestABatchOfSealedPayloadsOutlivesAWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"", messages, groups} {
		t.Run("in "+way, func(t *testing.T) {
			t.Parallel()
			l, intruder := sealed(t, way, newKeyset(t))
			all := notes(t, 60)
			for i := range all {
				all[i].SendAfter = "3s"
			}
			ref := l.large(t, all)
			stop, err := intruder.work(queueOf(t), l.served)
			require.NoError(t, err)
			root := starter.WorkflowID(ref)
			require.Eventually(t, func() bool {
				return count(l.historyOf(t, root), enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED) > 0
			}, time.Minute, 20*time.Millisecond)
			stop()
			stop, err = l.work(queueOf(t), nil) // it takes no attempts
			require.NoError(t, err)
			t.Cleanup(stop)
			leave := intruder.takeAttempts(t, l.served[0].Name)
			require.Eventually(t, func() bool {
				return count(l.historyOf(t, runsOf(way, ref)...), enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED) > 0
			}, time.Minute, 100*time.Millisecond, "it took an attempt")
			leave()
			l.serve(t)

			status, rows := l.wait(t, ref)
			require.Equal(t, message.BatchCompleted, status.State)
			require.Equal(t, 60, status.Counts[message.Sent], "%v", *status.Counts)
			l.agree(t, rows)
			again := 0
			for _, row := range rows {
				if row.Attempts > 1 {
					again++
				}
			}
			require.Less(t, again, 10, "an attempt that could not be read is none; some may be lost with the worker that stops")
			for _, e := range l.historyOf(t, runsOf(way, ref)...) {
				text, err := protojson.Marshal(e)
				require.NoError(t, err)
				require.NotContains(t, string(text), "Hi ", "event %d", e.GetEventId())
				require.NotContains(t, string(text), strings.ReplaceAll(t.Name(), "/", ".")+"-", "event %d", e.GetEventId())
			}
		})
	}
}

// withKeyset adds to a configuration that the environment has the keyset.
func withKeyset(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, append(text, "encryption: {keyset: \"${VOLLEY_KEYSET}\"}\n"...), 0o600))
	return path
}

func TestAWorkerWithTheWrongKeysetDoesNotPoll(t *testing.T) {
	t.Parallel()
	right, wrong := newKeyset(t), newKeyset(t)
	l, _ := sealed(t, "", right)
	bin, queue := volley(t), queueOf(t)
	plain := l.config(t, queue, queue)
	cfg := withKeyset(t, plain)
	environ := func(k *encryption.Keyset) []string {
		data, err := k.JSON()
		require.NoError(t, err)
		return []string{"TEMPORAL_ADDRESS=" + l.server.Address(), "VOLLEY_KEYSET=" + string(data)}
	}
	work := func(cfg string, k *encryption.Keyset) (*exec.Cmd, func() string) {
		w := spawn(t, environ(k), bin, "worker", "--config", cfg, "--listen", "")
		return w, func() string {
			b, err := os.ReadFile(w.Stderr.(*os.File).Name())
			require.NoError(t, err)
			return string(b)
		}
	}
	first, _ := work(cfg, right) // it switches encryption on
	ref := l.large(t, notes(t, 10))
	l.some(t, 10)
	l.wait(t, ref)
	kill(first)

	next := l.request(t, queue, "Hi", notes(t, 20))
	next.Ref.ID += "-later"
	_, err := l.starter.Start(t.Context(), next)
	require.NoError(t, err)
	later := next.Ref
	pollers := func() map[string]bool {
		there := map[string]bool{}
		for _, kind := range []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY} {
			for _, name := range []string{queue, "volley-send-" + queue} {
				d, err := l.client.DescribeTaskQueue(t.Context(), name, kind)
				require.NoError(t, err)
				for _, p := range d.GetPollers() {
					there[p.GetIdentity()] = true
				}
			}
		}
		return there
	}
	before := pollers()
	for name, c := range map[string]struct {
		config string
		keyset *encryption.Keyset
		says   string
	}{
		"another": {cfg, wrong, fmt.Sprintf("keyset of 1 key with the primary %d cannot open", wrong.Primary())},
		"none":    {plain, right, "this process has no keyset"}, // that the environment has one means nothing
	} {
		w, log := work(c.config, c.keyset)
		require.Eventually(t, func() bool { return strings.Contains(log(), c.says) }, time.Minute, 50*time.Millisecond, name)
		require.Contains(t, log(), fmt.Sprintf("encrypted with key %d", right.Primary()), name)
		require.Equal(t, before, pollers(), name)
		kill(w)

		cmd := exec.CommandContext(t.Context(), bin, "status", later.ID, "--config", c.config)
		cmd.Env = append(os.Environ(), environ(c.keyset)...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, name)
		require.Contains(t, string(out), c.says, name)
	}
	work(cfg, right)
	status, rows := l.wait(t, later)
	require.Equal(t, 20, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
}
