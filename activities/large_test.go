package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
	"volley/workflows/contract"
)

// kept are activities with a store of n messages, which the test may change.
func kept(t *testing.T, n int, edit func(i int, m *message.Message)) (*activities.Activities, *store.Store, string) {
	t.Helper()
	s, dir := stored(t, n, edit)
	return activities.New(activities.Options{Store: s}), s, dir
}

// ask runs an activity that has to succeed.
func ask[R, Q any](t *testing.T, do func(context.Context, Q) (R, error), in Q) R {
	t.Helper()
	res, err := execute(t, environment{workflow: "batch-b~0001"}, do, in)
	require.NoError(t, err)
	return res
}

// do runs an activity that has no result.
func do[Q any](t *testing.T, act func(context.Context, Q) error, in Q) error {
	t.Helper()
	_, err := within(nil, act, in)
	return err
}

func TestOpenListsTheSegments(t *testing.T) {
	t.Parallel()
	a, s, dir := kept(t, 1500, nil)
	res := ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir})
	require.Equal(t, message.Version, res.V)
	require.True(t, res.Found)
	require.Len(t, res.Segments, 2)
	require.Equal(t, 1000, res.Segments[0].Count)

	require.Equal(t, contract.OpenResult{V: 1}, ask(t, a.Open, contract.OpenInput{V: 1, Dir: "default/2026-01-01/other~00000000"}))
	require.NoError(t, s.Close())
	_, err := execute(t, environment{}, a.Open, contract.OpenInput{V: 1, Dir: "default/2026-01-01/third~00000000"})
	require.Error(t, err, "a store that does not answer may yet have it")
}

func TestAWorkerWithoutAStoreHasNoLargeBatch(t *testing.T) {
	t.Parallel()
	a := activities.New(activities.Options{Senders: accounts{"hook": answering(provider.Answer{}, nil)}})
	require.Equal(t, contract.OpenResult{V: 1, Away: true}, ask(t, a.Open, contract.OpenInput{Dir: "d"}), "another worker may have it")
	_, err := execute(t, environment{}, a.Load, contract.LoadInput{Dir: "d", Segment: 1})
	require.ErrorContains(t, err, "has no store", "another worker may have it")
	require.ErrorContains(t, do(t, a.Keep, contract.KeepInput{Dir: "d", Number: 1}), "has no store")
	require.ErrorContains(t, do(t, a.Close, contract.CloseInput{Result: message.Result{Large: &message.Large{Dir: "d"}}}), "has no store")

	in := question()
	in.Send.Stored = &contract.Stored{Dir: "d", Segment: 1}
	require.Equal(t, contract.KindNotStarted, ask(t, a.Send, in.Send).Kind)
	require.Equal(t, contract.VerdictLater, ask(t, a.Reconcile, in).Verdict)
}

func TestLoadReadsWhatAWorkflowMayKnow(t *testing.T) {
	t.Parallel()
	a, _, dir := kept(t, 1200, func(i int, m *message.Message) {
		if i == 1001 {
			m.Route = -1
			m.Problems.Add(i, "to", message.CodeUnroutable, "no way")
		}
	})
	res := ask(t, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 2})
	require.True(t, res.Found)
	require.Len(t, res.Lines, 200)
	require.Equal(t, 1007, res.Lines[7].Index)
	require.Equal(t, message.CodeUnroutable, res.Lines[1].Code)
	require.Equal(t, "b", res.Batch.ID)
	require.Equal(t, [][]message.Hop{{{Account: "hook", Channels: []string{"SMS"}}}}, res.Batch.Hops)
	require.Contains(t, res.Batch.Policies, "hook")

	raw, err := json.Marshal(res)
	require.NoError(t, err)
	for _, secret := range []string{"+1555", "Ann", "Hi ", `"batch":1`} {
		require.NotContains(t, string(raw), secret)
	}
	require.False(t, ask(t, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 3}).Found)
}

func TestLoadReadsWhichMessagesWereCanceledByName(t *testing.T) {
	t.Parallel()
	a, s, dir := kept(t, 1200, nil)
	require.NoError(t, s.AddCanceled(t.Context(), dir, message.Cancellations{{Index: 3, At: 7, Reason: "no"}, {Index: 1003, At: 9}}))
	ours := message.Cancellations{{Index: 1003, At: 9}}
	require.Equal(t, ours, ask(t, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 2}).Canceled)
}

func TestCloseKeepsTheEnd(t *testing.T) {
	t.Parallel()
	a, s, dir := kept(t, 1, nil)
	res := message.Result{V: 1, Status: message.Status{ID: "b", Total: 1}, Large: &message.Large{Dir: dir, Segments: "e"}}
	for range 2 {
		require.NoError(t, do(t, a.Close, contract.CloseInput{V: 1, Result: res}))
	}
	got, err := s.Result(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, "b", got.Status.ID)
	require.Equal(t, "e", got.Large.Segments)
	require.NoError(t, do(t, a.Close, contract.CloseInput{V: 1}), "a result without a folder")
}

func TestWhatIsDamagedInTheStoreIsLost(t *testing.T) {
	t.Parallel()
	spoiled := func(name string) (*activities.Activities, string) {
		root := t.TempDir()
		s := storeAt(t, "file://"+root)
		dir := fill(t, s, 3, nil)
		path := filepath.Join(root, dir, name)
		require.NoError(t, os.Chmod(path, 0o600))
		require.NoError(t, os.WriteFile(path, []byte("no such thing"), 0o600))
		other := storeAt(t, "file://"+root) // which has not read it before
		return activities.New(activities.Options{Senders: accounts{"hook": answering(provider.Answer{}, nil)}, Store: other}), dir
	}
	a, dir := spoiled("manifest")
	res := ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir})
	require.False(t, res.Found)
	require.Contains(t, res.Fault, "damaged")

	a, dir = spoiled("segments/0001")
	var log bytes.Buffer
	loaded, err := execute(t, environment{workflow: "batch-b~0001", log: slog.NewTextHandler(&log, nil)}, a.Load, contract.LoadInput{V: 1, Dir: dir, Segment: 1})
	require.NoError(t, err)
	require.False(t, loaded.Found)
	require.Regexp(t, `level=ERROR msg="the store has lost a segment".*dir=`+dir+`.*segment=1.*error=.*damaged`, log.String())
	in := question().Send
	in.Stored = &contract.Stored{Dir: dir, Segment: 1}
	sent := ask(t, a.Send, in)
	require.Equal(t, "rejected", sent.Kind)
	require.Equal(t, message.CodeStore, sent.Code)
}

func TestAMessageOfALargeBatchComesFromTheStore(t *testing.T) {
	t.Parallel()
	st, dir := stored(t, 1100, nil)
	var asked provider.Query
	s := &asker{tell: func(_ context.Context, q provider.Query) (provider.Answer, error) {
		asked = q
		return provider.Answer{Verdict: provider.Absent}, nil
	}}
	a := activities.New(activities.Options{Senders: accounts{"hook": s}, Store: st})
	q := question()
	in := &q.Send
	in.Template, in.Message, in.Index, in.Channels = message.Template{}, message.Message{}, 1003, []string{"RCS"}
	in.Stored = &contract.Stored{Dir: dir, Segment: 2, Pos: 3}
	require.Equal(t, contract.KindSent, ask(t, a.Send, *in).Kind)
	require.Equal(t, "Hi Ann 1003", s.seen[0].Text)
	require.Equal(t, "+15550001003", s.seen[0].To)
	require.Equal(t, []string{"RCS"}, s.seen[0].Channels)
	require.JSONEq(t, `{"batch":1}`, string(s.seen[0].Metadata))
	require.Equal(t, contract.VerdictAbsent, ask(t, a.Reconcile, q).Verdict)
	require.Equal(t, s.seen[0], asked.Message)

	in.Stored = &contract.Stored{Dir: "default/2026-01-01/other~00000000", Segment: 1}
	res := ask(t, a.Send, *in)
	require.Equal(t, contract.KindNotStarted, res.Kind, "another worker has seen the batch, in another store")
	require.Positive(t, res.RetryAfter)
	for name, spoil := range map[string]contract.Stored{
		"another message":  {Dir: dir, Segment: 2, Pos: 4},
		"no message":       {Dir: dir, Segment: 2, Pos: 100},
		"no segment":       {Dir: dir, Segment: 3},
		"no position ever": {Dir: dir, Segment: 2, Pos: -1},
	} {
		in.Stored = &spoil
		res := ask(t, a.Send, *in)
		require.Equal(t, "rejected", res.Kind, name)
		require.Equal(t, message.CodeStore, res.Code, name)
		require.NotEmpty(t, res.Detail, name)
		answer := ask(t, a.Reconcile, q)
		require.Equal(t, contract.VerdictCannotTell, answer.Verdict, name)
		require.Equal(t, message.CodeStore, answer.Code, name)
	}
	require.Equal(t, 1, s.requests())
}

func TestAStoreThatIsAwayDelaysAMessage(t *testing.T) {
	t.Parallel()
	st, dir := stored(t, 1, nil)
	require.NoError(t, st.Close())
	a := activities.New(activities.Options{Senders: accounts{"hook": answering(provider.Answer{}, nil)}, Store: st})
	q := question()
	q.Send.Stored = &contract.Stored{Dir: dir, Segment: 1}
	require.Equal(t, contract.KindNotStarted, ask(t, a.Send, q.Send).Kind)
	require.Equal(t, contract.VerdictLater, ask(t, a.Reconcile, q).Verdict)
}
