package workflows_test

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	commonpb "go.temporal.io/api/common/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/temporalclient"
	"volley/worker"
	"volley/workflows/contract"
)

// corpora are the releases whose histories are stored, the oldest first: the directories
// of testdata/histories, by version.
func corpora(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/histories/*")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	version := func(dir string) (v [3]int) {
		_, err := fmt.Sscanf(filepath.Base(dir), "v%d.%d.%d", &v[0], &v[1], &v[2])
		require.NoError(t, err, "%s: a release such as v0.2.0 is expected", dir)
		return v
	}
	slices.SortFunc(all, func(a, b string) int {
		one, two := version(a), version(b)
		return slices.Compare(one[:], two[:])
	})
	return all
}

// stored are the histories of a release, by name.
func stored(t *testing.T, corpus string) map[string]*history.History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, "*.json.gz"))
	require.NoError(t, err)
	all := map[string]*history.History{}
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		h, err := client.HistoryFromJSON(z, client.HistoryJSONOptions{})
		require.NoError(t, err, file)
		require.NoError(t, f.Close())
		all[strings.TrimSuffix(filepath.Base(file), ".json.gz")] = h
	}
	return all
}

// Histories are recorded by the end-to-end tests (make histories). Each is one run of a
// workflow of a release on a real server; this code must still decide as it did then.
func TestStoredHistoriesReplay(t *testing.T) {
	t.Parallel()
	for _, corpus := range corpora(t) {
		for name, h := range stored(t, corpus) {
			t.Run(filepath.Base(corpus)+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := sdk.NewWorkflowReplayer()
				worker.RegisterWorkflows(r)
				require.NoError(t, r.ReplayWorkflowHistory(nil, h))
			})
		}
	}
}

// A batch that is traced, or whose worker begins to make spans while it runs, decides as it
// did, and what it did before makes no spans again.
func TestStoredHistoriesReplayWithTraces(t *testing.T) {
	t.Parallel()
	out := tracetest.NewInMemoryExporter()
	opts, err := temporalclient.ClientOptions(temporalclient.Options{Traces: sdktrace.NewTracerProvider(sdktrace.WithSyncer(out)), EnvLookup: noEnvironment{}})
	require.NoError(t, err)
	parent, err := converter.GetDefaultDataConverter().ToPayload("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	require.NoError(t, err)
	all := corpora(t)
	for name, h := range stored(t, all[len(all)-1]) {
		r, err := sdk.NewWorkflowReplayerWithOptions(sdk.WorkflowReplayerOptions{
			Interceptors: []interceptor.WorkerInterceptor{opts.Interceptors[0].(interceptor.WorkerInterceptor)}, ContextPropagators: opts.ContextPropagators,
		})
		require.NoError(t, err)
		worker.RegisterWorkflows(r)
		h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().Header = &commonpb.Header{Fields: map[string]*commonpb.Payload{"traceparent": parent}}
		require.NoError(t, r.ReplayWorkflowHistory(nil, h), name)
	}
	require.Empty(t, out.GetSpans())
}

// noEnvironment has no variables.
type noEnvironment struct{}

func (noEnvironment) LookupEnv(string) (string, bool) { return "", false }
func (noEnvironment) Environ() []string               { return nil }

// registered notes the names under which things are registered.
type registered struct {
	sdk.Registry
	workflows, activities []string
}

func (r *registered) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.workflows = append(r.workflows, o.Name)
}

func (r *registered) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	r.activities = append(r.activities, o.Name)
}

// seen is what the histories of a kind of batch tell of.
type seen map[string]bool

// add adds what a history tells of: workflows and activities, controls as updates and as
// signals, changes of the code, ends of runs and of messages.
func (s seen) add(t *testing.T, h *history.History) {
	t.Helper()
	name := h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()
	s["workflow "+name] = true
	for _, e := range h.GetEvents() {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			s["activity "+a.GetActivityType().GetName()] = true
		}
		if a := e.GetWorkflowExecutionUpdateAcceptedEventAttributes(); a != nil {
			s["update "+a.GetAcceptedRequest().GetInput().GetName()] = true
		}
		if a := e.GetWorkflowExecutionSignaledEventAttributes(); a != nil {
			s["signal "+a.GetSignalName()] = true
		}
		if a := e.GetMarkerRecordedEventAttributes(); a.GetMarkerName() == "Version" {
			var change string
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(a.GetDetails()["change-id"], &change))
			s["change "+change] = true
		}
		if e.GetWorkflowExecutionCancelRequestedEventAttributes() != nil {
			s["canceled through Temporal"] = true
		}
		if e.GetWorkflowExecutionContinuedAsNewEventAttributes() != nil {
			s["continued "+name] = true
		}
		if a := e.GetWorkflowExecutionCompletedEventAttributes(); a != nil {
			var counts *message.Counts
			switch dc := converter.GetDefaultDataConverter(); name {
			case contract.SendBatchName:
				var r message.Result
				require.NoError(t, dc.FromPayloads(a.GetResult(), &r))
				counts = r.Status.Counts
				s["batch "+string(r.Status.State)] = true
			case contract.SendSegmentName:
				var r contract.SegmentResult
				require.NoError(t, dc.FromPayloads(a.GetResult(), &r))
				counts = &r.Counts
			}
			for state := range message.State(len(message.Counts{})) {
				if counts != nil && counts[state] > 0 {
					s["message "+state.String()] = true
				}
			}
		}
	}
}

// What a release has no history of is held by nothing when it is replaced.
func TestTheNewestCorpusHasEveryPath(t *testing.T) {
	t.Parallel()
	all := corpora(t)
	newest := all[len(all)-1]
	total, ways := seen{}, map[string]seen{"": {}, "segments": {}, "group": {}}
	for name, h := range stored(t, newest) {
		way, _, _ := strings.Cut(name, ".")
		if ways[way] == nil {
			way = ""
		}
		ways[way].add(t, h)
		total.add(t, h)
	}
	var r registered
	worker.RegisterWorkflows(&r)
	worker.RegisterActivities(&r, activities.New(activities.Options{}))
	for _, name := range r.workflows {
		assert.Contains(t, total, "workflow "+name, "make histories: %s", newest)
	}
	for _, name := range r.activities {
		assert.Contains(t, total, "activity "+name, "make histories: %s", newest)
	}
	for way, s := range ways {
		for state := range message.State(len(message.Counts{})) {
			if state.Final() {
				assert.Contains(t, s, "message "+state.String(), "make histories: %s, %q", newest, way)
			}
		}
		for _, path := range []string{
			"batch completed", "batch canceled",
			"update cancel", "update pause", "update resume", "update reschedule", "activity AwaitRelease",
		} {
			assert.Contains(t, s, path, "make histories: %s, %q", newest, way)
		}
		for _, change := range contract.Changes() {
			if way == "" && change == contract.ChangeOrderRounds {
				continue // only segments have rounds
			}
			assert.Contains(t, s, "change "+change, "make histories: %s, %q", newest, way)
		}
	}
	for _, path := range []string{
		"signal cancel", "signal pause", "canceled through Temporal", "continued SendBatch", "continued SendSegment",
	} {
		assert.Contains(t, total, path, "make histories: %s", newest)
	}
}

// The timeline of a large batch shows its segments, and not what they say to each other:
// each tells its batch once that its first attempts have been made, and controls reach
// all of them in one activity.
func TestSegmentsTellTheirBatchRarely(t *testing.T) {
	t.Parallel()
	all := corpora(t)
	large := 0
	for name, h := range stored(t, all[len(all)-1]) {
		segments, told := 0, 0
		for _, e := range h.GetEvents() {
			if e.GetChildWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName() == contract.SendSegmentName {
				segments++
			}
			if e.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == contract.SignalProgress {
				told++
			}
			to := e.GetSignalExternalWorkflowExecutionInitiatedEventAttributes()
			require.Contains(t, []string{"", contract.SignalProgress, contract.SignalChanged}, to.GetSignalName(), "%s: a control came as a signal", name)
		}
		if segments > 0 {
			large++
			require.LessOrEqual(t, told, segments, name)
		}
	}
	require.NotZero(t, large)
}
