package starter_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// sentAgain counts how often each message was started again, by recipient.
func sentAgain(t *testing.T, f *fake) map[string]int {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := map[string]int{}
	for id, w := range f.flows {
		if w.start.GetWorkflowType().GetName() != contract.SendBatchName || id == "batch-a" {
			continue
		}
		in := decode[contract.Input](t, w.start.GetInput().GetPayloads()[0])
		for i := range in.Batch.Messages {
			sent[in.Batch.Messages[i].To]++
		}
	}
	return sent
}

func TestManyRedrivesAtATimeTakeNothingTwice(t *testing.T) {
	t.Parallel()
	s, f, res := closedBatch(t, 200)
	var queries []starter.RedriveQuery
	for _, states := range [][]string{nil, {"failed"}, {"expired", "failed"}, {"unknown"}, {"canceled", "unknown"}, {"not-sent"}, {"not-delivered"}} {
		for _, code := range []string{"", "http_400"} {
			queries = append(queries, starter.RedriveQuery{States: states, Code: code})
		}
	}
	for i := range 10 {
		queries = append(queries, starter.RedriveQuery{Selector: message.Selector{To: res.Rows[i*5+1].To}}, queries[i])
	}
	require.Greater(t, len(queries), 20)
	var all sync.WaitGroup
	others := make([]*starter.Starter, len(queries))
	for i, q := range queries {
		others[i] = starter.New(f.client, starter.Options{Now: func() time.Time { return noon }})
		all.Go(func() {
			if _, err := others[i].Redrive(context.Background(), a, q); err != nil && !errors.Is(err, starter.ErrNotFound) {
				t.Errorf("%+v: %v", q, err)
			}
		})
	}
	all.Wait()
	sent := sentAgain(t, f)
	want := map[string]int{}
	for _, row := range res.Rows {
		if row.State != message.Sent {
			want[row.To] = 1
		}
	}
	delete(want, res.Rows[199].To)
	for to := range maps.Keys(want) {
		require.Equal(t, 1, sent[to], to)
	}
	for to, n := range sent {
		require.Equal(t, 1, n, to)
	}

	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed", "canceled"}})
	if err == nil {
		require.True(t, got.Existing)
	}
	twice, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed"}, Again: true})
	require.NoError(t, err)
	require.Equal(t, 40, twice.Total, "unless it is asked for")
}

func TestALaterRedriveTakesTheRest(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 12)
	first, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Code: "http_400"})
	require.NoError(t, err)
	require.Equal(t, 3, first.Total)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 2, got.Total, "those that expired")
	require.Equal(t, starter.Redriven{Unknown: 2, AlreadyRedriven: 3}, *got.Redriven)
	unknown, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"unknown", "expired"}})
	require.NoError(t, err)
	require.Equal(t, starter.Redriven{AlreadyRedriven: 2, Doubtful: 2}, *unknown.Redriven)
	_, err = s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"expired"}})
	require.ErrorIs(t, err, starter.ErrNotFound)
	require.ErrorContains(t, err, "taken by redrives before")
	require.Contains(t, f.flows, "redrive-a~3")
	require.NotContains(t, f.flows, "redrive-a~4")

	_, err = s.Redrive(t.Context(), a, starter.RedriveQuery{ID: first.ID, States: []string{"canceled"}})
	require.ErrorIs(t, err, starter.ErrConflict)
}

func TestARedriveOfABatchThatRuns(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 5))
	res := resultOf("a", 5)
	for i, state := range []message.State{message.Failed, message.Retrying, message.Sending, message.Scheduled, message.Sent} {
		res.Rows[i].State = state
	}
	f.flow(t, "batch-a").query = worker(t, res)
	first, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 1, first.Total, "only what has ended")
	same, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, first.ID, same.ID)

	res.Rows[1].State = message.Expired
	next, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.NotEqual(t, first.ID, next.ID)
	require.Equal(t, 1, next.Total)
	require.Equal(t, map[string]int{"+15550000000": 1, "+15550000001": 1}, sentAgain(t, f))
}

func TestARedriveThatBrokeOffIsStartedByTheSameOne(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*starter.Starter, *fake, *time.Time, string) {
		t.Helper()
		now := noon
		s, f := newStarter(t, starter.Options{Now: func() time.Time { return now }})
		start(t, s, request("a", 12))
		f.flow(t, "batch-a").complete(t, resultOf("a", 12))
		got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
		require.NoError(t, err)
		delete(f.flows, "batch-"+got.ID) // as if it had never started
		return s, f, &now, got.ID
	}
	t.Run("by nobody else", func(t *testing.T) {
		t.Parallel()
		s, f, now, id := begin(t)
		*now = noon.Add(11 * time.Hour)
		_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed"}})
		require.ErrorIs(t, err, starter.ErrNotFound)
		got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
		require.NoError(t, err)
		require.Equal(t, id, got.ID)
		require.Equal(t, 5, got.Total)
		require.False(t, got.Existing)
		require.Zero(t, got.AlreadyRedriven)
		for to, n := range sentAgain(t, f) {
			require.Equal(t, 1, n, to)
		}
	})
	for name, happens := range map[string]func(t *testing.T, s *starter.Starter, f *fake, now *time.Time, id string){
		"after half a day": func(_ *testing.T, _ *starter.Starter, _ *fake, now *time.Time, _ string) {
			*now = noon.Add(13 * time.Hour)
		},
		"once its workflow has ended": func(t *testing.T, _ *starter.Starter, f *fake, _ *time.Time, _ string) {
			t.Helper()
			f.flow(t, "redrive-a~1").complete(t, nil)
		},
		"after it was deleted": func(t *testing.T, s *starter.Starter, f *fake, _ *time.Time, id string) {
			t.Helper()
			again, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
			require.NoError(t, err)
			require.Equal(t, id, again.ID)
			f.flow(t, "batch-"+id).complete(t, resultOf(id, 5))
			require.NoError(t, s.Delete(t.Context(), starter.Ref{ID: id}))
		},
	} {
		t.Run("not "+name, func(t *testing.T) {
			t.Parallel()
			s, f, now, id := begin(t)
			happens(t, s, f, now, id)
			_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
			require.ErrorIs(t, err, starter.ErrNotFound)
			require.Empty(t, sentAgain(t, f))
			got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Again: true})
			require.NoError(t, err)
			require.Equal(t, 5, got.Total)
		})
	}
}

func TestARefusedQuestionTakesNothing(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 5)
	no := errors.New("no")
	_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Ask: func(context.Context, *starter.Proposal) error { return no }})
	require.ErrorIs(t, err, no)
	require.Len(t, f.flows, 1)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed"}})
	require.NoError(t, err)
	require.Equal(t, 1, got.Total)
}

func TestARedrivenMessageKeepsATimeInTheFuture(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at   time.Time
		want time.Time
	}{
		"as it was":   {time.Time{}, noon.Add(24 * time.Hour)},
		"at another":  {noon.Add(time.Hour), noon.Add(time.Hour)},
		"at once":     {noon.Add(-time.Second), noon},
		"or far away": {noon.Add(48 * time.Hour), noon.Add(48 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			start(t, s, request("a", 5))
			res := resultOf("a", 5)
			due := noon.Add(24 * time.Hour)
			res.Rows[4].DueAt = &due // after a reschedule
			f.flow(t, "batch-a").complete(t, res)
			got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"canceled"}, SendAfter: tt.at})
			require.NoError(t, err)
			in := decode[contract.Input](t, f.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
			require.Equal(t, tt.want.UnixMilli(), in.Batch.DueAt(&in.Batch.Messages[0]))
		})
	}
}

func TestARedriveThroughAnotherAccount(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 12)
	through := func(b *message.Batch) func(int, *message.Message) {
		b.Hops, b.Policies = [][]message.Hop{{{Account: b.Account}}}, map[string]message.Policy{b.Account: {Provider: "sinch"}}
		return func(i int, m *message.Message) {
			if m.Route = 0; i == 1 {
				m.Problems.Add(i, "messages[1]", message.CodeRecipient, "no number")
			}
		}
	}
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{Through: "three", Reroute: through})
	require.NoError(t, err)
	require.Equal(t, 1, got.Rejected)
	in := decode[contract.Input](t, f.flow(t, "batch-"+got.ID).start.GetInput().GetPayloads()[0])
	require.Equal(t, "three", in.Batch.Account)
	require.Equal(t, []message.Hop{{Account: "three"}}, in.Batch.HopsOf(&in.Batch.Messages[0]))
	require.Equal(t, "sinch", in.Batch.Policies["three"].Provider)
}

func TestABatchThatTemporalEndedIsRedrivenByDefault(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	start(t, s, request("a", 2))
	f.flow(t, "batch-a").terminate(noon)
	got, err := s.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 2, got.Total, "nobody canceled them")
}

func TestDeletingABatchRemovesWhatItsRedrivesTook(t *testing.T) {
	t.Parallel()
	s, f, _ := closedBatch(t, 12)
	for _, state := range []string{"failed", "expired", "canceled"} {
		_, err := s.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{state}})
		require.NoError(t, err)
	}
	require.NoError(t, s.Delete(t.Context(), a))
	for id := range f.flows {
		require.False(t, strings.HasPrefix(id, "redrive-"), id)
	}
	require.Equal(t, []string{"redrive-a~3", "redrive-a~2", "redrive-a~1"}, f.deleted[:3], "never with a gap")
}

func TestALargeBatchRemembersItsRedrivesLongerThanTemporal(t *testing.T) {
	t.Parallel()
	b, _ := ended(t)
	first, err := b.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.NoError(t, err)
	require.Equal(t, 1000, first.Total)
	for _, id := range []string{"batch-a", "redrive-a~1", "batch-" + first.ID} {
		delete(b.fake.flows, id)
	}
	late := newOn(b, func() time.Time { return noon.Add(10 * 24 * time.Hour) })
	_, err = late.Redrive(t.Context(), a, starter.RedriveQuery{})
	require.ErrorIs(t, err, starter.ErrNotFound)
	got, err := late.Redrive(t.Context(), a, starter.RedriveQuery{States: []string{"failed", "canceled"}})
	require.NoError(t, err)
	require.Equal(t, 501, got.Total)
	require.Contains(t, b.fake.flows, "redrive-a~2")
	require.NotContains(t, b.fake.flows, "redrive-a~1")
}

func TestRunningLargeBatchIsRedriven(t *testing.T) {
	t.Parallel()
	b, o := halfway(t)
	require.NoError(t, b.store.KeepLedger(t.Context(), o.Large.Dir, 1, &message.Ledger{V: message.Version, Records: records(1000, func(i int) message.Record {
		r := sentRecord(i)
		if i%2 == 0 {
			r.State, r.Code = message.Failed, "http_500"
		}
		return r
	})}))
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := range 6 {
		all.Go(func() {
			q := starter.RedriveQuery{Code: []string{"", "http_500"}[i%2], ID: fmt.Sprintf("r%d", i)}
			got, err := newOn(b, func() time.Time { return noon }).Redrive(context.Background(), a, q)
			if err != nil && !errors.Is(err, starter.ErrNotFound) {
				t.Error(err)
			}
			mu.Lock()
			total += got.Total
			mu.Unlock()
		})
	}
	all.Wait()
	require.Equal(t, 500, total)
}
