package keywatch_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/encryption"
	"volley/internal/keywatch"
	"volley/internal/store"
	"volley/internal/temporalclient"
)

// temporal has at most one workflow, and knows who polled.
type temporal struct {
	workflowservice.UnimplementedWorkflowServiceServer
	mu   sync.Mutex
	id   string
	memo *commonpb.Memo
	// polls are those of each queue, by identity.
	polls map[string]map[string]time.Time
	// unseen polls are not told of, as those of another partition.
	unseen int
	away   bool
}

func (s *temporal) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (s *temporal) StartWorkflowExecution(_ context.Context, r *workflowservice.StartWorkflowExecutionRequest) (*workflowservice.StartWorkflowExecutionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == "" || r.GetWorkflowIdConflictPolicy() == enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING {
		s.id, s.memo = r.GetWorkflowId(), r.GetMemo()
	}
	return &workflowservice.StartWorkflowExecutionResponse{RunId: "r"}, nil
}

func (s *temporal) DescribeWorkflowExecution(_ context.Context, r *workflowservice.DescribeWorkflowExecutionRequest) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, serviceerror.ToStatus(serviceerror.NewPermissionDenied("away", "")).Err() // which is not tried again
	}
	if r.GetExecution().GetWorkflowId() != s.id || s.id == "" {
		return nil, serviceerror.ToStatus(serviceerror.NewNotFound("no")).Err()
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: s.id, RunId: "r"}, Type: &commonpb.WorkflowType{Name: "Keyset"},
		Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, Memo: s.memo,
	}}, nil
}

func (s *temporal) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	s.poll(r.GetTaskQueue().GetName(), r.GetIdentity())
	<-ctx.Done()
	return &workflowservice.PollActivityTaskQueueResponse{}, nil
}

func (s *temporal) poll(queue, identity string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unseen > 0 {
		s.unseen--
		return
	}
	if s.polls == nil {
		s.polls = map[string]map[string]time.Time{}
	}
	if s.polls[queue] == nil {
		s.polls[queue] = map[string]time.Time{}
	}
	s.polls[queue][identity] = time.Now()
}

func (s *temporal) DescribeTaskQueue(_ context.Context, r *workflowservice.DescribeTaskQueueRequest) (*workflowservice.DescribeTaskQueueResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &workflowservice.DescribeTaskQueueResponse{}
	for identity, at := range s.polls[r.GetTaskQueue().GetName()] {
		res.Pollers = append(res.Pollers, &taskqueuepb.PollerInfo{Identity: identity, LastAccessTime: timestamppb.New(at)})
	}
	return res, nil
}

func (s *temporal) is(change func(*temporal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

type environment map[string]string

func (e environment) LookupEnv(k string) (string, bool) { v, ok := e[k]; return v, ok }

func (e environment) Environ() (all []string) {
	for k, v := range e {
		all = append(all, k+"="+v)
	}
	return all
}

// connect returns a watch of a process with a keyset, and its client.
func (s *temporal) connect(t *testing.T, role string, k *encryption.Keyset, more func(*keywatch.Options)) (*keywatch.Watch, client.Client) {
	t.Helper()
	o := temporalclient.Options{Keyset: k, EnvLookup: environment{"TEMPORAL_CONFIG_FILE": "/none.toml", "TEMPORAL_ADDRESS": "passthrough:///memory"}}
	opts, err := temporalclient.ClientOptions(o)
	require.NoError(t, err)
	l := bufconn.Listen(1 << 16)
	// A bubble's clock jumps by minutes, and each jump brings pings that a server would take for too many.
	g := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Nanosecond, PermitWithoutStream: true}))
	workflowservice.RegisterWorkflowServiceServer(g, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Serve(l) })
	opts.ConnectionOptions.DialOptions = append(opts.ConnectionOptions.DialOptions,
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	c, err := client.DialContext(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); g.Stop(); wg.Wait() })
	ko := keywatch.Options{Client: c, Temporal: o, TaskQueue: "q", Role: role}
	if more != nil {
		more(&ko)
	}
	w, err := keywatch.New(ko)
	require.NoError(t, err)
	return w, c
}

// run runs a watch until the returned function is called.
func run(w *keywatch.Watch) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// value keeps the last one of a gauge.
type value struct {
	client.MetricsHandler
	mu   sync.Mutex
	name string
	last float64
}

func (v *value) Gauge(name string) client.MetricsGauge {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.name = name
	return v
}

func (v *value) Update(to float64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = to
}

func (v *value) is() (string, float64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.name, v.last
}

func newKeyset(t *testing.T) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

// twoKeys are a keyset, the same with a new key besides, and the same that seals with it.
func twoKeys(t *testing.T) (first, both, promoted *encryption.Keyset, id uint32) {
	t.Helper()
	first = newKeyset(t)
	both, id, err := first.WithNewKey()
	require.NoError(t, err)
	promoted, err = both.Promote(id)
	require.NoError(t, err)
	return first, both, promoted, id
}

func TestAProcessWaitsForItsKeysetAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	right, wrong := newKeyset(t), newKeyset(t)
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		first, _ := s.connect(t, "worker", right, nil)
		stop := run(first)
		require.NoError(t, first.Wait(t.Context()))
		stop()

		core, logs := observer.New(zap.InfoLevel)
		m := &value{MetricsHandler: client.MetricsNopHandler}
		w, _ := s.connect(t, "worker", wrong, func(o *keywatch.Options) { o.Temporal.Log, o.Temporal.Metrics = zap.New(core), m })
		require.Error(t, w.Err(), "it has not looked yet")
		stop = run(w)
		time.Sleep(time.Minute)
		require.ErrorIs(t, w.Err(), encryption.ErrNoKey)
		name, missing := m.is()
		require.Equal(t, "volley_keyset_missing", name)
		require.InDelta(t, 1, missing, 0)
		require.Equal(t, 1, logs.Len())
		require.Contains(t, logs.All()[0].ContextMap()["error"], fmt.Sprint(right.Primary()))

		s.is(func(s *temporal) { s.id = "" }) // somebody made an end of what was sealed with the other
		require.NoError(t, w.Wait(t.Context()))
		_, missing = m.is()
		require.InDelta(t, 0, missing, 0)
		stop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		third, _ := s.connect(t, "worker", right, nil)
		require.ErrorIs(t, third.Wait(ctx), context.Canceled)
	})
}

// A process that meets a primary key which it lacks stops its work, and begins anew once its
// file has the key.
func TestWorkEndsWhereAKeyIsMissingAndBeginsAnewWithIt(t *testing.T) {
	t.Parallel()
	old, _, promoted, id := twoKeys(t)
	dir := t.TempDir()
	write := func(name string, k *encryption.Keyset) string {
		text, err := k.JSON()
		require.NoError(t, err)
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return "file://" + filepath.ToSlash(path)
	}
	source := write("k.json", old)
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		core, logs := observer.New(zap.InfoLevel)
		mine, err := encryption.Load(source)
		require.NoError(t, err)
		w, c := s.connect(t, "worker", mine, func(o *keywatch.Options) { o.Source, o.Temporal.Log = source, zap.New(core) })
		stop := run(w)
		ctx, cancel := context.WithCancel(t.Context())
		works := make(chan bool, 10)
		done := make(chan error, 1)
		go func() {
			done <- w.While(ctx, func(ctx context.Context) error {
				works <- true
				<-ctx.Done()
				works <- false
				return nil
			})
		}()
		require.True(t, <-works)

		other, _ := s.connect(t, "gateway", promoted, nil)
		stopOther := run(other)
		time.Sleep(65 * time.Second)
		require.False(t, <-works, "what the new key seals cannot be read")
		require.ErrorContains(t, w.Err(), fmt.Sprint(id))
		all, err := keywatch.Reports(t.Context(), c.WorkflowService(), "default", "q", time.Now())
		require.NoError(t, err)
		require.Len(t, all, 2)
		lacking := keywatch.Lacking(all, id)
		require.Len(t, lacking, 1)
		require.Contains(t, lacking[0], fmt.Sprintf("key %d is missing at worker volley-", id))

		s.is(func(s *temporal) { s.away = true })
		time.Sleep(time.Minute)
		require.ErrorContains(t, w.Err(), fmt.Sprint(id), "what cannot be looked at changes nothing")
		s.is(func(s *temporal) { s.away = false })
		write("k.json", promoted)
		require.True(t, <-works, "the file is read again")
		require.NoError(t, w.Err())
		time.Sleep(2 * time.Minute)
		all, err = keywatch.Reports(t.Context(), c.WorkflowService(), "default", "q", time.Now())
		require.NoError(t, err)
		require.Empty(t, keywatch.Lacking(all, id))

		require.NoError(t, os.WriteFile(filepath.Join(dir, "k.json"), []byte("{"), 0o600))
		time.Sleep(3 * time.Minute)
		require.NoError(t, w.Err(), "a file that cannot be read changes nothing")
		require.Equal(t, 1, logs.FilterMessageSnippet("cannot be read again").Len(), "it is said once")
		require.Equal(t, 1, logs.FilterMessageSnippet("right again").Len())

		write("k.json", old)
		require.False(t, <-works, "the key was taken out of the file")
		cancel()
		require.NoError(t, <-done)
		stop()
		stopOther()
	})
}

func TestAStoreThatIsSealedWithAnotherKeyKeepsAProcessFromWork(t *testing.T) {
	t.Parallel()
	url := "file://" + filepath.ToSlash(t.TempDir()) + "/s"
	open := func(k *encryption.Keyset) *store.Store {
		st, err := store.Open(t.Context(), url, store.Options{Keyset: k})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, st.Close()) })
		return st
	}
	mine, other := newKeyset(t), newKeyset(t)
	_, err := open(other).Mark(t.Context(), nil)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		w, _ := s.connect(t, "worker", mine, func(o *keywatch.Options) { o.Store = open(mine) })
		defer run(w)()
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, w.Err(), store.ErrSealed)
	})
}

func TestReportsAreOfProcessesThatLive(t *testing.T) {
	t.Parallel()
	_, both, _, _ := twoKeys(t)
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{unseen: 2} // two polls go to another partition
		w, c := s.connect(t, "worker", both, nil)
		reports := func() []keywatch.Report {
			all, err := keywatch.Reports(t.Context(), c.WorkflowService(), "default", "q", time.Now())
			require.NoError(t, err)
			return all
		}
		stop := run(w)
		time.Sleep(10 * time.Second)
		all := reports()
		require.Len(t, all, 1)
		require.Equal(t, "worker", all[0].Role)
		require.Equal(t, both.Primary(), all[0].Primary)
		require.Len(t, all[0].Keys, 2)
		for range 10 {
			time.Sleep(time.Minute)
			require.Len(t, reports(), 1, "it says so again and again")
		}

		s.poll("q", all[0].Process+"~0a0b0c0d")
		s.poll("q", "volley-9@old~0a0b0c0d")
		all = reports()
		require.Len(t, all, 2, "a worker that says nothing is one of an earlier version")
		require.Equal(t, "volley-9@old", all[1].Process)
		require.True(t, all[1].Silent)
		require.Len(t, keywatch.Lacking(all, both.Primary()), 1)
		time.Sleep(2 * time.Minute)
		require.Len(t, reports(), 1, "it is gone")

		s.poll("q", all[0].Process+"~0a0b0c0d")
		stop()
		require.Empty(t, reports(), "who ends says so")

		w, _ = s.connect(t, "worker", nil, nil)
		stop = run(w)
		time.Sleep(10 * time.Second)
		require.Contains(t, keywatch.Lacking(reports(), 7)[0], "has no keyset")
		s.is(func(s *temporal) { s.unseen = 1000 }) // as one that is killed
		time.Sleep(6 * time.Minute)
		require.Empty(t, reports())
		stop()
	})
}

func TestAReportOfManyKeysNamesTheNewest(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	first := k.Primary()
	var last uint32
	for range 120 {
		var err error
		k, last, err = k.WithNewKey()
		require.NoError(t, err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &temporal{}
		w, c := s.connect(t, "worker", k, nil)
		defer run(w)()
		time.Sleep(10 * time.Second)
		s.is(func(s *temporal) {
			for identity := range s.polls["q-keys"] {
				require.Less(t, len(identity), 1000, "Temporal takes no longer ones")
			}
		})
		all, err := keywatch.Reports(t.Context(), c.WorkflowService(), "default", "q", time.Now())
		require.NoError(t, err)
		require.Empty(t, keywatch.Lacking(all, first, last))
	})
}
