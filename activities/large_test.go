package activities_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/internal/store"
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
	res, err := execute(t, bed{workflow: "batch-b~0001"}, do, in)
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
	res := ask(t, a.Open, activities.OpenInput{V: 1, Dir: dir})
	require.Equal(t, message.Version, res.V)
	require.True(t, res.Found)
	require.Len(t, res.Segments, 2)
	require.Equal(t, 1000, res.Segments[0].Count)

	require.Equal(t, activities.OpenResult{V: 1}, ask(t, a.Open, activities.OpenInput{V: 1, Dir: "default/2026-01-01/other~00000000"}))
	require.NoError(t, s.Close())
	_, err := execute(t, bed{}, a.Open, activities.OpenInput{V: 1, Dir: "default/2026-01-01/third~00000000"})
	require.Error(t, err, "a store that does not answer may yet have it")
}

func TestAWorkerWithoutAStoreHasNoLargeBatch(t *testing.T) {
	t.Parallel()
	a := activities.New(activities.Options{Senders: accounts{"hook": answering(provider.Answer{}, nil)}})
	require.Equal(t, activities.OpenResult{V: 1}, ask(t, a.Open, activities.OpenInput{Dir: "d"}))
	_, err := execute(t, bed{}, a.Load, activities.LoadInput{Dir: "d", Sources: []activities.Source{{Segment: 1}}})
	require.ErrorContains(t, err, "has no store", "another worker may have it")
	require.Equal(t, activities.LocateResult{V: 1, Found: make([]activities.Located, 2)}, ask(t, a.Locate, activities.LocateInput{Dir: "d", Indexes: []int{1, 2}}))
	require.ErrorContains(t, do(t, a.Keep, activities.KeepInput{Dir: "d", Number: 1}), "has no store")
	require.ErrorContains(t, do(t, a.Close, activities.CloseInput{Result: message.Result{Large: &message.Large{Dir: "d"}}}), "has no store")

	in := question()
	in.Send.Stored = &activities.Stored{Dir: "d", Segment: 1}
	require.Equal(t, activities.KindNotStarted, ask(t, a.Send, in.Send).Kind)
	require.Equal(t, activities.VerdictLater, ask(t, a.Reconcile, in).Verdict)
}

func TestLoadReadsWhatAWorkflowMayKnow(t *testing.T) {
	t.Parallel()
	a, _, dir := kept(t, 1200, func(i int, m *message.Message) {
		if i == 1001 {
			m.Route = -1
			m.Problems.Add(i, "to", message.CodeUnroutable, "no way")
		}
	})
	res := ask(t, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: []activities.Source{{Segment: 2}}})
	require.True(t, res.Found)
	require.Nil(t, res.Records)
	require.Len(t, res.Lines, 200)
	require.Equal(t, message.Spot{Segment: 2, Pos: 7}, res.Lines[7].Spot)
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
	for _, source := range []activities.Source{{Segment: 3}, {Segment: 1, Left: true}} {
		require.False(t, ask(t, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: []activities.Source{source}}).Found)
	}
}

// ledgerOf is a ledger in which every message has ended but those in left.
func ledgerOf(n int, left ...int) message.Ledger {
	l := message.Ledger{V: 1, Records: make([]message.Record, n)}
	for i := range l.Records {
		l.Records[i].State = message.Sent
	}
	for _, i := range left {
		l.Records[i] = message.Record{State: message.Retrying, Attempts: i, Code: "http_503"}
	}
	return l
}

func TestLoadReadsWhatSegmentsLeft(t *testing.T) {
	t.Parallel()
	a, _, dir := kept(t, 1200, nil)
	for number, l := range map[int]message.Ledger{1: ledgerOf(1000, 5, 999), 2: ledgerOf(200, 7)} {
		require.NoError(t, do(t, a.Keep, activities.KeepInput{V: 1, Dir: dir, Number: number, Ledger: ledgerOf(3)}))
		require.NoError(t, do(t, a.Keep, activities.KeepInput{V: 1, Dir: dir, Number: number, Ledger: l}), "again, over it")
	}
	both := []activities.Source{{Segment: 1, Left: true}, {Segment: 2, Left: true}}
	res := ask(t, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: both})
	require.True(t, res.Found)
	require.Equal(t, []message.Spot{{Segment: 1, Pos: 5}, {Segment: 1, Pos: 999}, {Segment: 2, Pos: 7}}, res.Records.Spots)
	for i, want := range []int{5, 999, 1007} {
		require.Equal(t, want, res.Lines[i].Index)
		require.Equal(t, message.Retrying, res.Records.Records[i].State)
	}
	require.Equal(t, 999, res.Records.Records[1].Attempts)

	// A retry can leave messages too: its ledger says where they lie.
	third := *res.Records
	third.Records[0].State = message.Sent
	require.NoError(t, do(t, a.Keep, activities.KeepInput{V: 1, Dir: dir, Number: 3, Ledger: third}))
	res = ask(t, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: []activities.Source{{Segment: 3, Left: true}}})
	require.Equal(t, []message.Spot{{Segment: 1, Pos: 999}, {Segment: 2, Pos: 7}}, res.Records.Spots)
	require.Equal(t, 1007, res.Lines[1].Index)

	both[0].Left = false
	_, err := execute(t, bed{}, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: both})
	require.ErrorContains(t, err, "source 1")
}

func TestCloseKeepsTheEnd(t *testing.T) {
	t.Parallel()
	a, s, dir := kept(t, 1, nil)
	res := message.Result{V: 1, Status: message.Status{ID: "b", Total: 1}, Large: &message.Large{Dir: dir, Segments: "e"}}
	for range 2 {
		require.NoError(t, do(t, a.Close, activities.CloseInput{V: 1, Result: res}))
	}
	got, err := s.Result(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, "b", got.Status.ID)
	require.Equal(t, "e", got.Large.Segments)
	require.NoError(t, do(t, a.Close, activities.CloseInput{V: 1}), "a result without a folder")
}

func TestLocateTellsHowMessagesEnded(t *testing.T) {
	t.Parallel()
	a, _, dir := kept(t, 3500, func(i int, m *message.Message) {
		if i == 3001 || i == 2003 {
			m.Problems.Add(i, "to", message.CodeUnroutable, "no way")
		}
	})
	keep := func(number int, l message.Ledger) {
		require.NoError(t, do(t, a.Keep, activities.KeepInput{V: 1, Dir: dir, Number: number, Ledger: l}))
	}
	keep(1, ledgerOf(1000, 5, 6, 7))
	retry := ledgerOf(3, 2)
	retry.Records[0].State = message.Expired
	retry.Spots = []message.Spot{{Segment: 1, Pos: 5}, {Segment: 1, Pos: 6}, {Segment: 1, Pos: 7}}
	keep(5, retry)
	last := ledgerOf(1)
	last.Spots = []message.Spot{{Segment: 1, Pos: 6}}
	last.Records[0].State = message.Failed
	keep(6, last)

	located := func(large message.Large, indexes ...int) []string {
		res := ask(t, a.Locate, activities.LocateInput{V: 1, Dir: dir, Indexes: indexes, Large: large})
		require.Len(t, res.Found, len(indexes))
		var states []string
		for _, f := range res.Found {
			switch {
			case f.Segment == 0:
				states = append(states, "no such index")
			case f.State == nil:
				states = append(states, "")
			default:
				states = append(states, f.State.String())
			}
		}
		return states
	}
	large := message.Large{Dir: dir, Segments: "lrx-", Rest: &message.Rest{State: message.Canceled, Code: "canceled"}}
	require.Equal(t, []string{"sent", "", "", "", "", "", "no such index"}, located(large, 4, 5, 6, 7, 1500, 3400, 3500))
	require.Equal(t, []string{"canceled"}, located(large, 2000))
	require.Equal(t, []string{"", "rejected", "rejected"}, located(message.Large{Dir: dir, Segments: "lr--"}, 2000, 2003, 3001))
	require.Equal(t, []string{"rejected"}, located(message.Large{Dir: dir}, 2003), "before it is opened")

	large.Segments, large.RestOf = "lr-x", map[int]message.Rest{4: {State: message.Failed}}
	large.Canceled = []int{3002}
	require.Equal(t, []string{"", "failed", "rejected", "canceled"}, located(large, 2000, 3000, 3001, 3002))

	large.Retries = []message.Retry{{Number: 5, Segments: []int{1, 3}, Ended: true}, {Number: 6, Segments: []int{1}}}
	require.Equal(t, []string{"sent", "expired", "sent", ""}, located(large, 4, 5, 6, 7), "what has not ended says nothing")
	large.Retries[1].Ended = true
	require.Equal(t, []string{"sent", "expired", "failed", ""}, located(large, 4, 5, 6, 7))

	large.Retries = []message.Retry{{Number: 9, Segments: []int{1}, Ended: true}}
	large.RestOf[9], large.Canceled = message.Rest{State: message.Unknown}, []int{7}
	require.Equal(t, []string{"sent", "unknown", "canceled"}, located(large, 4, 5, 7), "a retry that was lost")
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
	res := ask(t, a.Open, activities.OpenInput{V: 1, Dir: dir})
	require.False(t, res.Found)
	require.Contains(t, res.Fault, "damaged")

	a, dir = spoiled("segments/0001")
	require.False(t, ask(t, a.Load, activities.LoadInput{V: 1, Dir: dir, Sources: []activities.Source{{Segment: 1}}}).Found)
	in := question().Send
	in.Stored = &activities.Stored{Dir: dir, Segment: 1}
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
	in.Stored = &activities.Stored{Dir: dir, Segment: 2, Pos: 3}
	require.Equal(t, activities.KindSent, ask(t, a.Send, *in).Kind)
	require.Equal(t, "Hi Ann 1003", s.seen[0].Text)
	require.Equal(t, "+15550001003", s.seen[0].To)
	require.Equal(t, []string{"RCS"}, s.seen[0].Channels)
	require.JSONEq(t, `{"batch":1}`, string(s.seen[0].Metadata))
	require.Equal(t, activities.VerdictAbsent, ask(t, a.Reconcile, q).Verdict)
	require.Equal(t, s.seen[0], asked.Message)

	in.Stored = &activities.Stored{Dir: "default/2026-01-01/other~00000000", Segment: 1}
	res := ask(t, a.Send, *in)
	require.Equal(t, activities.KindNotStarted, res.Kind, "another worker has seen the batch, in another store")
	require.Positive(t, res.RetryAfter)
	for name, spoil := range map[string]activities.Stored{
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
		require.Equal(t, activities.VerdictCannotTell, answer.Verdict, name)
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
	q.Send.Stored = &activities.Stored{Dir: dir, Segment: 1}
	require.Equal(t, activities.KindNotStarted, ask(t, a.Send, q.Send).Kind)
	require.Equal(t, activities.VerdictLater, ask(t, a.Reconcile, q).Verdict)
}
