package starter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// short is a wait that no answer of the fake needs. Tests in which somebody does
// not answer use it, all others the real one.
const short = time.Second

func newStarter(t *testing.T, o starter.Options) (*starter.Starter, *fake) {
	t.Helper()
	f := newFake(t)
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	return starter.New(f.client, o), f
}

// batchOf is a batch of n messages over two accounts; the last is rejected when
// there are more than two.
func batchOf(n int) *message.Batch {
	b := &message.Batch{
		V: 1, Dialect: "volley", CreatedAt: noon, Metadata: json.RawMessage(`{"campaign":"x","n":2}`),
		Hops:     [][]message.Hop{{{Account: "one"}, {Account: "two"}}},
		Policies: map[string]message.Policy{"one": {Provider: "bird"}, "two": {Provider: "bird"}},
	}
	for i := range n {
		m := message.Message{To: fmt.Sprintf("+1555000%04d", i), Params: map[string]string{"n": fmt.Sprint(i)}}
		if n > 2 && i == n-1 {
			m.Problems.Add(i, "messages[2].to", message.CodeFormat, "no number")
			m.Route = -1
		}
		b.Messages = append(b.Messages, m)
	}
	return b
}

func request(id string, n int) starter.Request {
	return starter.Request{Ref: starter.Ref{ID: id}, Body: []byte(`{"messages":[]}`), Batch: batchOf(n)}
}

func start(t *testing.T, s *starter.Starter, r starter.Request) starter.Started {
	t.Helper()
	got, err := s.Start(t.Context(), r)
	require.NoError(t, err)
	return got
}

func decode[T any](t *testing.T, p *commonpb.Payload) T {
	t.Helper()
	var v T
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(p, &v))
	return v
}

func TestStartHandsOverTheBatch(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{SearchMetadata: []string{"campaign", "n", "absent"}})
	r := request("a", 3)
	r.Tenant = "acme"
	r.Batch.Priority = 2
	got := start(t, s, r)
	require.NotEmpty(t, got.Content)
	require.Equal(t, starter.Started{ID: "a", Total: 3, Rejected: 1, Problems: r.Batch.Problems(), Content: got.Content}, got)

	req := f.flow(t, "batch-acme/a").start
	require.Equal(t, contract.SendBatchName, req.GetWorkflowType().GetName())
	require.Equal(t, contract.TaskQueue, req.GetTaskQueue().GetName())
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, req.GetWorkflowIdReusePolicy())
	require.EqualValues(t, 2, req.GetPriority().GetPriorityKey())
	require.Equal(t, "acme", req.GetPriority().GetFairnessKey())

	in := decode[contract.Input](t, req.GetInput().GetPayloads()[0])
	require.Equal(t, 1, in.V)
	require.Equal(t, "a", in.Batch.ID)
	require.Equal(t, "acme", in.Batch.Tenant)
	require.Equal(t, 48, in.Batch.InFlight)
	require.True(t, in.Batch.Summaries)
	require.Equal(t, noon, in.Batch.CreatedAt)
	require.Empty(t, r.Batch.ID, "the caller's batch stays as it was")

	attrs := req.GetSearchAttributes().GetIndexedFields()
	require.Equal(t, "running", decode[string](t, attrs["VolleyState"]))
	require.Equal(t, "volley", decode[string](t, attrs["VolleyDialect"]))
	require.Equal(t, "acme", decode[string](t, attrs["VolleyTenant"]))
	require.Equal(t, message.KeyOf("batch-acme/a").String(), decode[string](t, attrs["VolleyKey"]))
	require.Equal(t, []string{"campaign=x", "n=2"}, decode[[]string](t, attrs["VolleyMeta"]))
	require.Equal(t, 3, decode[int](t, attrs["VolleyTotal"]))
	require.Equal(t, 0, decode[int](t, attrs["VolleyFailed"]))
	require.Equal(t, noon, decode[time.Time](t, attrs["VolleyDue"]).UTC())

	shown := req.GetUserMetadata().String()
	require.Contains(t, shown, "3 messages, volley")
	require.NotContains(t, shown, "1555", "what the Web UI shows names no recipient")
}

func TestStartMarksAFutureBatchAsScheduled(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("later", 2)
	r.Batch.SendAfter = noon.Add(2 * time.Hour).UnixMilli()
	r.Batch.Messages[1].Due = noon.Add(time.Hour).UnixMilli()
	got := start(t, s, r)
	require.Equal(t, noon.Add(2*time.Hour), *got.SendAfter)
	attrs := f.flow(t, "batch-later").start.GetSearchAttributes().GetIndexedFields()
	require.Equal(t, "scheduled", decode[string](t, attrs["VolleyState"]))
	require.Equal(t, noon.Add(time.Hour), decode[time.Time](t, attrs["VolleyDue"]).UTC())
	require.NotContains(t, attrs, "VolleyMeta")
}

func TestStartOfTheSameContentAnswersWithTheBatchThatIsThere(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	first := request("a", 3)
	first.Batch.SendAfter = noon.Add(time.Hour).UnixMilli()
	first.Flags = map[string]string{"ttl": "2h", "account": ""}
	want := start(t, s, first)

	again := request("a", 3)
	again.Batch.SendAfter = noon.Add(2 * time.Hour).UnixMilli() // decoded later
	again.Flags = map[string]string{"ttl": "2h"}
	got := start(t, s, again)
	want.Existing = true
	require.Equal(t, want, got)
}

func TestStartOfOtherContentIsAConflict(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	start(t, s, request("a", 1))
	tests := map[string]func(*starter.Request){
		"other body":    func(r *starter.Request) { r.Body = []byte("{}") },
		"other flags":   func(r *starter.Request) { r.Flags = map[string]string{"ttl": "1h"} },
		"other dialect": func(r *starter.Request) { r.Batch.Dialect = "bird" },
		"part of the body in a flag": func(r *starter.Request) {
			r.Body, r.Flags = r.Body[:5], map[string]string{string(r.Body[5:]): "x"}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("a", 1)
			change(&r)
			got, err := s.Start(t.Context(), r)
			require.ErrorIs(t, err, starter.ErrConflict)
			require.Equal(t, starter.Started{ID: "a"}, got)
		})
	}
}

func TestAConflictOfAKeyNamesTheBatchThatItStandsFor(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	r := request("", 1)
	r.IdempotencyKey = "k"
	first := start(t, s, r)
	r.Body = []byte("{}")
	got, err := s.Start(t.Context(), r)
	require.ErrorIs(t, err, starter.ErrConflict)
	require.Equal(t, starter.Started{ID: first.ID}, got)
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options starter.Options
		request starter.Request
		text    string
	}{
		"a bad id":          {request: request("a b", 1), text: "a b"},
		"a bad tenant":      {request: starter.Request{Ref: starter.Ref{Tenant: "a/b", ID: "x"}, Batch: batchOf(1)}, text: "a/b"},
		"no batch":          {request: starter.Request{}, text: "no batch"},
		"too many messages": {options: starter.Options{MaxMessages: 3}, request: request("x", 4), text: "4 messages, at most 3"},
		"too many bytes":    {options: starter.Options{MaxBytes: 100}, request: request("x", 1), text: "at most 100"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, tt.options)
			_, err := s.Start(t.Context(), tt.request)
			require.ErrorIs(t, err, starter.ErrInvalid)
			require.ErrorContains(t, err, tt.text)
			require.Empty(t, f.flows)
		})
	}
}

func TestTooLargeSaysBothNumbers(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{MaxBytes: 100})
	_, err := s.Start(t.Context(), request("x", 1))
	var large *starter.TooLargeError
	require.ErrorAs(t, err, &large)
	require.Equal(t, 1, large.Messages)
	require.Equal(t, 1000, large.MaxMessages)
	require.Greater(t, large.Bytes, 100)
	require.Equal(t, 100, large.MaxBytes)
}

func TestAPayloadThatTheServerRefusesIsNamed(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{MaxBytes: 5000})
	f.startError = serviceerror.NewInvalidArgument("Blob data size exceeds limit.")
	_, err := s.Start(t.Context(), request("a", 1))
	var large *starter.PayloadError
	require.ErrorAs(t, err, &large)
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "set limits.inline_bytes, which is 5,000, below it")
}

func TestStartNamesMissingSearchAttributes(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	delete(f.attributes, "VolleyKey")
	delete(f.attributes, "VolleyDue")
	f.startError = serviceerror.NewInvalidArgument("Namespace default has no mapping defined for search attribute VolleyKey")
	_, err := s.Start(t.Context(), request("a", 1))
	var missing *starter.MissingAttributesError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"VolleyKey", "VolleyDue"}, missing.Names)
	require.ErrorContains(t, err, "volley setup")

	added, err := s.Setup(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"VolleyKey"}, added, "VolleyDue was added by somebody else meanwhile")
	f.attributes["VolleyDue"] = starter.Attributes()["VolleyDue"]
	lacking, err := s.Missing(t.Context())
	require.NoError(t, err)
	require.Empty(t, lacking)

	_, err = s.Start(t.Context(), request("a", 1))
	require.ErrorIs(t, err, starter.ErrInvalid, "with all attributes there the server's own sentence stands")
}

func TestMissingRefusesAnAttributeOfAnotherType(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	f.attributes["VolleyTotal"] = f.attributes["VolleyState"]
	_, err := s.Missing(t.Context())
	require.ErrorContains(t, err, "VolleyTotal")
}

func TestMemoStaysBelowTwoKilobytes(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	long := strings.Repeat("é<", 300)
	r := request(strings.Repeat("i", 100), 1)
	r.Batch.RedriveOf, r.Batch.Account = strings.Repeat("r", 100), strings.Repeat("a", 100)
	r.Batch.Metadata = json.RawMessage(`{"first":"kept","second":[1, 2],"third":"` + long + `","fourth":"x"}`)
	start(t, s, r)
	req := f.flow(t, "batch-"+r.ID).start
	size := 0
	for name, p := range req.GetMemo().GetFields() {
		size += len(name) + p.Size()
	}
	require.Less(t, size, 2000)
	kept := decode[struct{ Metadata map[string]any }](t, req.GetMemo().GetFields()["batch"]).Metadata
	require.Equal(t, "kept", kept["first"])
	require.NotContains(t, kept, "third")
}

func TestStartSaysThatTheNamespaceIsNotThere(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	f.startError = serviceerror.NewNamespaceNotFound("nowhere")
	_, err := s.Start(t.Context(), request("a", 1))
	require.NotErrorIs(t, err, starter.ErrNotFound)
	require.ErrorContains(t, err, "namespace")
}

func TestStartedHoldsEmptyListsAsEmpty(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	raw, err := json.Marshal(start(t, s, request("a", 0)))
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"a","total":0,"rejected":0,"existing":false,"problems":[]}`, string(raw))
}

func TestSearchableMetadataHoldsNothingThatBreaksAQuery(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{SearchMetadata: []string{"a", "b", "c"}})
	r := request("a", 1)
	r.Batch.Metadata = json.RawMessage(`{"a":"it's \"odd\"","b":{"x": "y"},"c":"` + strings.Repeat("é", 200) + `"}`)
	start(t, s, r)
	pairs := decode[[]string](t, f.flow(t, "batch-a").start.GetSearchAttributes().GetIndexedFields()["VolleyMeta"])
	require.Equal(t, []string{"a=it_s _odd_", "b={_x_:_y_}"}, pairs[:2])
	require.LessOrEqual(t, len(pairs[2]), 255)
	require.True(t, utf8.ValidString(pairs[2]))
}

func TestAWorkflowThatIsNoBatchIsAConflict(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 1))
	f.flow(t, "batch-a").start.Memo = nil
	_, err := s.Start(t.Context(), request("a", 1))
	require.ErrorIs(t, err, starter.ErrConflict)
}

func TestABatchKeepsTheFirstProblemsOfAMessage(t *testing.T) {
	t.Parallel()
	s, _ := newStarter(t, starter.Options{})
	r := request("a", 3)
	for i := range 5000 {
		r.Batch.Messages[1].Problems.Add(1, fmt.Sprintf("x[%d]", i), message.CodeUnknownField, "unknown field")
	}
	got := start(t, s, r)
	require.Len(t, got.Problems, 20+len(r.Batch.Messages[2].Problems))
	require.Len(t, r.Batch.Messages[1].Problems, 5000, "the caller's batch stays as it is")
	again := start(t, s, r)
	require.True(t, again.Existing)
	require.Equal(t, got.Problems, again.Problems)
}

// section is a part of a test in a bubble of synctest, where there are no subtests.
func section(t *testing.T, name string, do func(t *testing.T)) {
	t.Helper()
	t.Log(name)
	do(t)
}
