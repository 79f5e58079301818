package starter_test

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestListQueriesEscapeWhatCallersGive(t *testing.T) {
	t.Parallel()
	const base = "WorkflowType = 'SendBatch' AND ExecutionStatus != 'ContinuedAsNew' AND VolleyTenant = "
	tests := map[string]struct {
		query starter.ListQuery
		want  string
	}{
		"nothing":      {starter.ListQuery{}, base + "'default'"},
		"a tenant":     {starter.ListQuery{Tenant: "acme"}, base + "'acme'"},
		"an open one":  {starter.ListQuery{State: "paused"}, base + "'default' AND VolleyState = 'paused' AND ExecutionStatus = 'Running'"},
		"a closed one": {starter.ListQuery{State: "completed"}, base + "'default' AND VolleyState = 'completed' AND ExecutionStatus = 'Completed'"},
		"open ones": {
			starter.ListQuery{State: "running, paused"},
			base + "'default' AND ((VolleyState = 'running' AND ExecutionStatus = 'Running') OR (VolleyState = 'paused' AND ExecutionStatus = 'Running'))",
		},
		"one that temporal ended": {
			starter.ListQuery{State: "failed"},
			base + "'default' AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')",
		},
		"quotes": {
			starter.ListQuery{Dialect: `x' OR 1=1`, Meta: "k=it's a\\b \"odd\"♡\x00\t\xff"},
			base + `'default' AND VolleyDialect = 'x_ OR 1=1' AND VolleyMeta = 'k=it_s a_b _odd_____'`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStarter(t, starter.Options{})
			got, err := s.List(t.Context(), tt.query)
			require.NoError(t, err)
			require.Empty(t, got.Next)
			require.Empty(t, got.Batches)
			require.NotNil(t, got.Batches, "an empty list is [] in JSON")
			require.Equal(t, tt.want, f.lists[0].GetQuery())
			require.EqualValues(t, 20, f.lists[0].GetPageSize())
		})
	}
}

func TestListRefusesMetadataThatNoBatchIsFoundBy(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{SearchMetadata: []string{"campaign", "wave"}})
	_, err := s.List(t.Context(), starter.ListQuery{Meta: "name=x"})
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, `by the metadata key "name": search_metadata of the configuration lacks it; batches that start once it is there`)
	_, err = s.List(t.Context(), starter.ListQuery{Meta: "wave=2=x"})
	require.NoError(t, err)
	require.Len(t, f.lists, 1)

	s, _ = newStarter(t, starter.Options{SearchMetadata: []string{}})
	_, err = s.List(t.Context(), starter.ListQuery{Meta: "name=x"})
	require.ErrorContains(t, err, "of the configuration lacks it")
	s, f = newStarter(t, starter.Options{})
	_, err = s.List(t.Context(), starter.ListQuery{Meta: "name=x"})
	require.NoError(t, err, "who does not know the configuration refuses nothing")
	require.Len(t, f.lists, 1)
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	for name, q := range map[string]starter.ListQuery{
		"an unknown state": {State: "sent"}, "no state": {State: "running,"}, "a bad tenant": {Tenant: "a'b"}, "metadata without a key": {Meta: "=x"},
		"metadata without a value": {Meta: "x"}, "a cursor of its own": {Cursor: "*"}, "a negative limit": {Limit: -1},
	} {
		_, err := s.List(t.Context(), q)
		require.ErrorIs(t, err, starter.ErrInvalid, name)
	}
	require.Empty(t, f.lists)
}

func TestListTellsOpenClosedAndTerminatedBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f := newStarter(t, starter.Options{Wait: short})
		for i, id := range []string{"open", "done", "killed", "future"} {
			r := request(id, 3)
			r.Batch.CreatedAt = noon.Add(time.Duration(i) * time.Minute)
			if id == "future" {
				r.Batch.SendAfter = noon.Add(time.Hour).UnixMilli()
			}
			start(t, s, r)
		}
		done := resultOf("done", 3)
		done.Status.CreatedAt = noon.Add(time.Minute)
		f.flow(t, "batch-done").complete(t, done)
		f.flow(t, "batch-killed").terminate(noon.Add(time.Hour))

		got, err := s.List(t.Context(), starter.ListQuery{})
		require.NoError(t, err)
		require.Len(t, got.Batches, 4)
		by := map[string]message.Status{}
		var order []string
		for _, st := range got.Batches {
			by[st.ID] = st
			order = append(order, st.ID)
		}
		require.Equal(t, []string{"future", "killed", "done", "open"}, order, "newest first")

		require.Equal(t, message.BatchRunning, by["open"].State)
		require.Nil(t, by["open"].Counts)
		require.Equal(t, 3, by["open"].Total)
		require.JSONEq(t, `{"campaign":"x","n":2}`, string(by["open"].Metadata))
		require.Equal(t, message.BatchScheduled, by["future"].State)
		require.Equal(t, noon.Add(time.Hour), by["future"].NextDueAt.UTC())
		require.Equal(t, noon.Add(time.Hour), *by["future"].SendAfter)
		require.Equal(t, done.Status, by["done"])
		require.Equal(t, message.BatchFailed, by["killed"].State)
		require.Equal(t, 3, by["killed"].Counts.Total())

		got, err = s.List(t.Context(), starter.ListQuery{Counts: true})
		require.NoError(t, err)
		require.Len(t, got.Batches, 4)
		for _, st := range got.Batches {
			require.Equal(t, st.ID == "open" || st.ID == "future", st.Counts == nil, "nobody can count %s", st.ID)
		}
		for _, id := range []string{"open", "future"} {
			f.flow(t, "batch-"+id).query = worker(t, resultOf(id, 3))
		}
		got, err = s.List(t.Context(), starter.ListQuery{Counts: true})
		require.NoError(t, err)
		for _, st := range got.Batches {
			require.Equal(t, 3, st.Counts.Total(), st.ID)
		}
	})
}

func TestOneBatchThatCannotBeReadKeepsNobodyFromTheOthers(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	for _, id := range []string{"done", "broken"} {
		start(t, s, request(id, 3))
	}
	f.flow(t, "batch-done").complete(t, resultOf("done", 3))
	f.flow(t, "batch-broken").complete(t, "what no version wrote")
	_, err := s.Status(t.Context(), starter.Ref{ID: "broken"})
	require.Error(t, err)
	got, err := s.List(t.Context(), starter.ListQuery{Counts: true})
	require.NoError(t, err)
	require.Len(t, got.Batches, 2)
	for _, st := range got.Batches {
		require.Equal(t, st.ID == "broken", st.Counts == nil, st.ID)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	f.nextToken = []byte{0, 255, '/', '+'}
	got, err := s.List(t.Context(), starter.ListQuery{Limit: 7})
	require.NoError(t, err)
	_, err = s.List(t.Context(), starter.ListQuery{Cursor: base64.RawURLEncoding.EncodeToString(f.nextToken)})
	require.ErrorIs(t, err, starter.ErrInvalid, "one that somebody made up")
	_, err = s.List(t.Context(), starter.ListQuery{Limit: 100_000, Cursor: got.Next})
	require.NoError(t, err)
	require.EqualValues(t, 7, f.lists[0].GetPageSize())
	require.EqualValues(t, 500, f.lists[1].GetPageSize())
	require.Equal(t, f.nextToken, f.lists[1].GetNextPageToken())
}

func TestListPassesOverWorkflowsThatAreNoBatch(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, starter.Options{})
	r := request("a", 1)
	r.Batch.Metadata = nil
	r.Batch.Policies = map[string]message.Policy{"one": {}}
	r.Batch.RedriveOf = "old"
	start(t, s, r)
	for _, id := range []string{"batch-a~0001", "notify-a", "batch-b/c/d"} {
		f.flows[id] = f.flows["batch-a"]
		f.order = append(f.order, id)
	}
	got, err := s.List(t.Context(), starter.ListQuery{})
	require.NoError(t, err)
	require.Len(t, got.Batches, 1)
	st := got.Batches[0]
	require.Equal(t, "a", st.ID)
	require.Equal(t, "one", st.Account, "the only account there is")
	require.JSONEq(t, "{}", string(st.Metadata))
	require.Equal(t, "old", *st.RedriveOf)
}
