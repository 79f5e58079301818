package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	deploymentpb "go.temporal.io/api/deployment/v1"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"volley/internal/config"
	"volley/internal/doctor"
	"volley/internal/encryption"
	"volley/internal/keywatch"
	"volley/internal/provider"
	"volley/internal/store"
)

var moment = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func now() time.Time { return moment }

// temporal is a server as a test wants it.
type temporal struct {
	workflowservice.WorkflowServiceClient
	err, spaceErr error
	retention     time.Duration
	payload       int64
	// unserved are the queues that nobody polls, with the tasks that wait there.
	unserved map[string]int
	// versions is what it says of the queue of workflows; nil is one poller without a version.
	versions *workflowservice.DescribeTaskQueueResponse
	clock    time.Duration
	polled   chan string
}

func (s *temporal) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest, ...grpc.CallOption) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{ServerVersion: "1.32.1"}, s.err
}

func (s *temporal) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest, ...grpc.CallOption) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{
		Config:        &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(s.retention)},
		NamespaceInfo: &namespacepb.NamespaceInfo{Limits: &namespacepb.NamespaceInfo_Limits{BlobSizeLimitError: s.payload}},
	}, s.spaceErr
}

func (s *temporal) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	s.polled <- r.GetIdentity()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *temporal) DescribeTaskQueue(_ context.Context, r *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	name := r.GetTaskQueue().GetName()
	if name == "volley-clock" {
		return &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueuepb.PollerInfo{{Identity: <-s.polled, LastAccessTime: timestamppb.New(moment.Add(s.clock))}}}, s.err
	}
	if s.versions != nil && name == "volley" && r.GetTaskQueueType() == enumspb.TASK_QUEUE_TYPE_WORKFLOW {
		return s.versions, s.err
	}
	if n, none := s.unserved[name]; none {
		return &workflowservice.DescribeTaskQueueResponse{
			Pollers: []*taskqueuepb.PollerInfo{{Identity: "gone", LastAccessTime: timestamppb.New(moment.Add(-2 * time.Minute))}},
			Stats:   &taskqueuepb.TaskQueueStats{ApproximateBacklogCount: int64(n)},
		}, s.err
	}
	return &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueuepb.PollerInfo{{Identity: "w", LastAccessTime: timestamppb.New(moment.Add(-40 * time.Second))}}}, s.err
}

// levels are the findings of a check, by level and detail.
func levels(t *testing.T, c doctor.Check) (r doctor.Report) {
	t.Helper()
	return doctor.Run(t.Context(), []doctor.Check{c}, 10*time.Second)
}

// isFinding demands that one finding has a level, and that its text says something; for
// one that is not ok it also says what to do, unless do is empty.
func isFinding(t *testing.T, r doctor.Report, level doctor.Level, says, do string) {
	t.Helper()
	worst := doctor.OK
	for _, f := range r.Checks {
		if f.Level == doctor.Wrong || f.Level == doctor.Warning && worst == doctor.OK {
			worst = f.Level
		}
	}
	require.Equal(t, level, worst, "%+v", r)
	require.Equal(t, level != doctor.Wrong, r.OK)
	for _, f := range r.Checks {
		if f.Level == level {
			require.Contains(t, f.Detail, says)
			require.Contains(t, f.Do, do)
			return
		}
	}
}

func TestTemporalIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server   temporal
		level    doctor.Level
		says, do string
	}{
		"all is well":                {temporal{retention: 72 * time.Hour}, doctor.OK, "server 1.32.1 at here:7233, namespace default keeps ended batches for 3 d", ""},
		"it is away":                 {temporal{err: serviceerror.NewUnavailable("refused")}, doctor.Wrong, "here:7233 does not answer: refused", "TEMPORAL_ADDRESS"},
		"no namespace":               {temporal{spaceErr: serviceerror.NewNamespaceNotFound("default")}, doctor.Wrong, "has no namespace default", "namespace create default"},
		"it may not ask":             {temporal{spaceErr: serviceerror.NewPermissionDenied("no", "")}, doctor.Warning, "cannot be looked at", ""},
		"it forgets early":           {temporal{retention: time.Hour}, doctor.Warning, "forgotten after 1 h", "--retention"},
		"payloads are as by default": {temporal{retention: 72 * time.Hour, payload: 2 << 20}, doctor.OK, "keeps ended batches for 3 d", ""},
		"payloads are small":         {temporal{retention: 72 * time.Hour, payload: 1 << 20}, doctor.Warning, "takes 1,048,576 bytes at most, not 2 MiB", "limit.blobSize.error"},
		"payloads are tiny":          {temporal{retention: 72 * time.Hour, payload: 64 << 10}, doctor.Wrong, "no large batch can start", "limit.blobSize.error"},
		"the store is purged before": {temporal{retention: 60 * 24 * time.Hour}, doctor.Warning, "after 30 d, while Temporal lists them for 60 d", "store_retention"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isFinding(t, levels(t, doctor.Temporal(doctor.Place{Service: &c.server, Address: "here:7233", Namespace: "default"}, 30*24*time.Hour)), c.level, c.says, c.do)
		})
	}
}

func TestSearchAttributesAreLookedFor(t *testing.T) {
	t.Parallel()
	for want, c := range map[doctor.Level]struct {
		missing []string
		err     error
		says    string
	}{
		doctor.OK:      {nil, nil, "all are there"},
		doctor.Warning: {[]string{"VolleyContent"}, nil, "the same content"},
		doctor.Wrong:   {[]string{"VolleyDue", "VolleyContent"}, nil, "no batch can start without VolleyDue, VolleyContent"},
	} {
		missing := func(context.Context) ([]string, error) { return c.missing, c.err }
		isFinding(t, levels(t, doctor.Attributes(missing, func(s string) bool { return s != "VolleyContent" })), want, c.says, "")
	}
	failing := func(context.Context) ([]string, error) { return nil, errors.New("VolleyDue has type Text") }
	isFinding(t, levels(t, doctor.Attributes(failing, func(string) bool { return true })), doctor.Wrong, "has type Text", "by hand")
}

// A queue that nobody serves is wrong only where something waits on it.
func TestQueuesAreLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unserved map[string]int
		level    doctor.Level
		says     string
	}{
		"all are served":     {nil, doctor.OK, "1 worker, every queue was polled within a minute (volley 40 s ago)"},
		"nothing waits":      {map[string]int{"volley-send-hook": 0}, doctor.Warning, "nobody serves volley-send-hook; nothing waits there"},
		"something waits":    {map[string]int{"volley-group-hook": 7}, doctor.Wrong, "7 waiting tasks on queue volley-group-hook"},
		"no workflow worker": {map[string]int{"volley": 1}, doctor.Wrong, "1 waiting task on queue volley,"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := doctor.Place{Service: &temporal{unserved: c.unserved}, Namespace: "default"}
			isFinding(t, levels(t, doctor.Queues(p, "volley", []string{"hook"}, now)), c.level, c.says, "")
		})
	}
}

// Workers of a version that is not current poll, and get nothing.
func TestAVersionThatGetsNoWorkIsNoWorker(t *testing.T) {
	t.Parallel()
	version := func(build string) *deploymentpb.WorkerDeploymentVersion {
		return &deploymentpb.WorkerDeploymentVersion{DeploymentName: "volley", BuildId: build}
	}
	poller := func(build string) *taskqueuepb.PollerInfo {
		return &taskqueuepb.PollerInfo{Identity: build, LastAccessTime: timestamppb.New(moment), DeploymentOptions: &deploymentpb.WorkerDeploymentOptions{
			DeploymentName: "volley", BuildId: build, WorkerVersioningMode: enumspb.WORKER_VERSIONING_MODE_VERSIONED,
		}}
	}
	for name, c := range map[string]struct {
		res   *workflowservice.DescribeTaskQueueResponse
		level doctor.Level
		says  string
	}{
		"no version is current": {&workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueuepb.PollerInfo{poller("new")}}, doctor.Warning, "only build new of deployment volley"},
		"another is current": {&workflowservice.DescribeTaskQueueResponse{
			Pollers: []*taskqueuepb.PollerInfo{poller("new")}, VersioningInfo: &taskqueuepb.TaskQueueVersioningInfo{CurrentDeploymentVersion: version("old")},
			Stats: &taskqueuepb.TaskQueueStats{ApproximateBacklogCount: 3},
		}, doctor.Wrong, "3 waiting tasks on queue volley, which only build new of deployment volley polls"},
		"it is current": {&workflowservice.DescribeTaskQueueResponse{
			Pollers: []*taskqueuepb.PollerInfo{poller("new")}, VersioningInfo: &taskqueuepb.TaskQueueVersioningInfo{CurrentDeploymentVersion: version("new")},
		}, doctor.OK, "1 worker"},
		"it is ramping": {&workflowservice.DescribeTaskQueueResponse{
			Pollers:        []*taskqueuepb.PollerInfo{poller("new"), poller("old")},
			VersioningInfo: &taskqueuepb.TaskQueueVersioningInfo{CurrentDeploymentVersion: version("old"), RampingDeploymentVersion: version("new")},
		}, doctor.OK, "2 workers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := doctor.Place{Service: &temporal{versions: c.res}, Namespace: "default"}
			isFinding(t, levels(t, doctor.Queues(p, "volley", []string{"hook"}, now)), c.level, c.says, "")
		})
	}
}

func TestTheClockIsCompared(t *testing.T) {
	t.Parallel()
	for want, off := range map[doctor.Level]time.Duration{doctor.OK: time.Second, doctor.Wrong: -20 * time.Second} {
		p := doctor.Place{Service: &temporal{clock: off, polled: make(chan string, 1)}, Namespace: "default"}
		isFinding(t, levels(t, doctor.Clock(p, "volley", now)), want, "", "")
	}
	p := doctor.Place{Service: &temporal{err: errors.New("away"), polled: make(chan string, 1)}, Namespace: "default"}
	isFinding(t, levels(t, doctor.Clock(p, "volley", now)), doctor.Warning, "cannot be compared", "NTP")
}

func TestTheStoreIsWrittenReadAndCleared(t *testing.T) {
	t.Parallel()
	open := func() *store.Store {
		s, err := store.Open(t.Context(), "file://"+filepath.ToSlash(t.TempDir())+"/s", store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	fresh := func(context.Context) error { return nil }
	s := open()
	isFinding(t, levels(t, doctor.Store(s, nil, fresh)), doctor.Warning, "no batch runs out of it", "volley setup")
	isFinding(t, levels(t, doctor.Store(s, nil, func(context.Context) error { return fmt.Errorf("batch b runs out of it: %w", store.ErrAway) })), doctor.Wrong, "batch b runs", "mount")
	isFinding(t, levels(t, doctor.Store(s, nil, func(context.Context) error { return errors.New("temporal is away") })), doctor.Warning, "cannot be known", "mount")
	_, err := s.Mark(t.Context(), nil)
	require.NoError(t, err)
	r := levels(t, doctor.Store(s, nil, fresh))
	require.True(t, r.OK)
	require.Contains(t, r.Checks[0].Detail, "written, read and removed")
	isFinding(t, levels(t, doctor.Store(nil, errors.New("no such scheme"), fresh)), doctor.Wrong, "no such scheme", "`store`")
}

func TestAStoreThatCannotBeMadeIsWrong(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it needs a directory in which nobody can make anything")
	}
	s, err := store.Open(t.Context(), "file:///proc/volley-store", store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	isFinding(t, levels(t, doctor.Store(s, nil, func(context.Context) error { return nil })), doctor.Wrong, "cannot be made", "`store`")
}

func TestAccountsAreAsked(t *testing.T) {
	t.Parallel()
	a := provider.Account{Name: "a", Provider: "bird"}
	for name, c := range map[string]struct {
		err   error
		date  time.Time
		level doctor.Level
		says  string
	}{
		"it works":            {nil, moment, doctor.OK, "bird takes its credentials"},
		"its clock differs":   {nil, moment.Add(time.Minute), doctor.Warning, "1m0s off"},
		"a wrong key":         {&provider.Error{Kind: provider.Unauthorized, Code: "http_401", Detail: "no"}, time.Time{}, doctor.Wrong, "refuses its credentials: no"},
		"too many requests":   {&provider.Error{Kind: provider.Throttled}, time.Time{}, doctor.Warning, "too many"},
		"it is away":          {&provider.Error{Kind: provider.Unavailable, Code: "connection"}, time.Time{}, doctor.Wrong, "does not answer: connection"},
		"settings are wrong":  {&provider.Error{Kind: provider.Rejected, Code: "http_404"}, time.Time{}, doctor.Wrong, "http_404"},
		"it is not an answer": {errors.New("odd"), time.Time{}, doctor.Wrong, "odd"},
	} {
		ask := func(context.Context, string) (time.Time, error) { return c.date, c.err }
		r := levels(t, doctor.Account(a, now, ask))
		isFinding(t, r, c.level, c.says, "")
		require.Equal(t, "account a", r.Checks[0].Check, name)
	}
}

func TestTheKeysetIsComparedWithThoseOfTheProcesses(t *testing.T) {
	t.Parallel()
	k, err := encryption.New()
	require.NoError(t, err)
	k, fresh, err := k.WithNewKey()
	require.NoError(t, err)
	first := k.Primary()
	fine := func(context.Context) error { return nil }
	say := func(all ...keywatch.Report) func(context.Context) ([]keywatch.Report, error) {
		return func(context.Context) ([]keywatch.Report, error) { return all, nil }
	}
	worker := func(keys ...uint32) keywatch.Report {
		return keywatch.Report{Process: "volley-1@a", Role: "worker", Keys: keys, Primary: first, Since: moment}
	}
	isFinding(t, levels(t, doctor.Keyset(nil, nil, fine, say())), doctor.OK, "nothing is encrypted", "")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say())), doctor.OK, "2 keys, which open", "")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(worker(first, fresh)))), doctor.OK, "has the same: 1 worker", "")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(worker(first, fresh), worker(first)))), doctor.Warning,
		fmt.Sprintf("key %d is missing at worker volley-1@a since 2026-11-29T12:00:00Z", fresh), "before volley keyset promote")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(worker(fresh)))), doctor.Wrong, fmt.Sprintf("key %d is missing at worker", first), "start it anew")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(keywatch.Report{Process: "p", Role: "gateway"}))), doctor.Wrong, "gateway p has no keyset", "give it")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(keywatch.Report{Process: "p", Role: "worker", Silent: true}))), doctor.Wrong, "does not say which keys", "")
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, say(worker(first, fresh, 7)))), doctor.Warning, "this machine lacks 1 key (7)", "retired")
	isFinding(t, levels(t, doctor.Keyset(nil, nil, fine, say(worker(first)))), doctor.Wrong, "this machine has no keyset, and worker volley-1@a has one", "encryption.keyset")
	away := func(context.Context) ([]keywatch.Report, error) { return nil, errors.New("away") }
	isFinding(t, levels(t, doctor.Keyset(k, nil, fine, away)), doctor.Warning, "is not known: away", "")
	isFinding(t, levels(t, doctor.Keyset(k, nil, func(context.Context) error { return errors.New("cannot open") }, say())), doctor.Wrong, "cannot open", "keyset")
	isFinding(t, levels(t, doctor.Keyset(nil, errors.New("damaged"), fine, say())), doctor.Wrong, "damaged", "keyset")
}

func TestAGatewayIsToldFromOtherServers(t *testing.T) {
	t.Parallel()
	answer := map[string]string{"/readyz": "ok\n", "/openapi.json": `{"paths":{"/v1/batches":{}}}`}
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer[r.URL.Path]))
	}))
	isFinding(t, levels(t, doctor.Gateway(s.URL+"/", s.Client())), doctor.OK, "is ready", "")
	for path, body := range map[string]string{"/openapi.json": "<html>", "/readyz": "welcome"} {
		was := answer[path]
		answer[path] = body
		isFinding(t, levels(t, doctor.Gateway(s.URL, s.Client())), doctor.Wrong, "is no gateway of Volley's", "volley gateway")
		answer[path] = was
	}
	status = http.StatusServiceUnavailable
	answer["/readyz"] = "the keyset is not right\n"
	isFinding(t, levels(t, doctor.Gateway(s.URL, s.Client())), doctor.Wrong, "answers 503: the keyset is not right", "log")
	s.Close()
	isFinding(t, levels(t, doctor.Gateway(s.URL, s.Client())), doctor.Wrong, "refused", "volley gateway")
	isFinding(t, levels(t, doctor.Gateway("localhost:8080", s.Client())), doctor.Wrong, "no URL", "http://localhost:8080")
}

func TestTheConfigurationIsLookedAt(t *testing.T) {
	t.Parallel()
	c := config.Default()
	isFinding(t, levels(t, doctor.Config(c, "", nil)), doctor.Warning, "there is none", "volley.yaml")
	c.Tenants["acme"] = config.Tenant{Keys: []config.Key{{Name: "crm", Secret: config.NewSecret("short")}}}
	r := levels(t, doctor.Config(c, "v.yaml", nil))
	isFinding(t, r, doctor.Warning, "without an account", "accounts")
	require.Contains(t, r.Checks[2].Detail, "tenant acme")
	bad := &config.Error{File: "v.yaml", Problems: []config.Problem{{Line: 3, Column: 1, Path: "routes", Detail: "no such account"}, {Path: "x", Detail: "unknown key"}}}
	r = levels(t, doctor.Config(nil, "v.yaml", bad))
	isFinding(t, r, doctor.Wrong, "v.yaml:3:1 routes: no such account", "")
	require.Len(t, r.Checks, 2)
}

// What hangs is said to hang, and does not keep the rest from being said.
func TestEveryCheckIsBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		r := doctor.Run(t.Context(), []doctor.Check{
			{Name: "hangs", Run: func(context.Context) []doctor.Finding { <-release; return nil }},
			{Name: "quick", Run: func(context.Context) []doctor.Finding {
				return []doctor.Finding{{Check: "quick", Level: doctor.OK}}
			}},
		}, 10*time.Second)
		require.LessOrEqual(t, time.Since(began), 11*time.Second)
		require.False(t, r.OK)
		require.Equal(t, []string{"hangs", "quick"}, []string{r.Checks[0].Check, r.Checks[1].Check})
		require.Equal(t, "no answer within 10s", r.Checks[0].Detail)
		close(release)
	})
}

func TestWhatNeedsSomethingThatIsWrongIsNotLookedAt(t *testing.T) {
	t.Parallel()
	finding := func(name string, level doctor.Level) doctor.Check {
		return doctor.Check{Name: name, Run: func(context.Context) []doctor.Finding { return []doctor.Finding{{Check: name, Level: level}} }}
	}
	r := levels(t, doctor.Behind(finding("temporal", doctor.Wrong), finding("clock", doctor.Wrong)))
	require.Equal(t, doctor.Finding{Check: "clock", Level: doctor.Warning, Detail: "not looked at, as temporal is wrong"}, r.Checks[1])
	r = levels(t, doctor.Behind(finding("temporal", doctor.Warning), finding("clock", doctor.OK), finding("workers", doctor.Wrong)))
	require.Len(t, r.Checks, 3)
	require.False(t, r.OK)
}
