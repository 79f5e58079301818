package starter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// rowsOf are all rows of a snapshot, with Next of the last.
func rowsOf(t *testing.T, x starter.Snapshot, q starter.RowsQuery) (rows []message.Row, pieces int) {
	t.Helper()
	for some, err := range x.Rows(t.Context(), q) {
		require.NoError(t, err)
		require.Len(t, some.Others, len(some.Messages))
		rows, pieces = append(rows, some.Messages...), pieces+1
	}
	return rows, pieces
}

func TestASmallBatchThatHasEndedIsReadWithItsLateReports(t *testing.T) {
	t.Parallel()
	b, before := closedWithStore(t, 5)
	_, err := b.RouteReports(t.Context(), "batch-a", []message.Report{tells(0, message.Delivered, "one")})
	require.NoError(t, err)
	x, err := b.Snapshot(t.Context(), starter.Listed{Ref: a})
	require.NoError(t, err)
	require.Equal(t, before.Status.Rev+1, x.Status.Rev)
	rows, _ := rowsOf(t, x, starter.RowsQuery{})
	require.Len(t, rows, 5)
	require.Equal(t, message.Delivered, rows[0].State)
	rows, _ = rowsOf(t, x, starter.RowsQuery{Since: before.Status.Rev})
	require.Len(t, rows, 1)
	calls := b.fake.called("QueryWorkflow")
	require.Zero(t, calls, "what has ended needs no worker")
}

func TestALargeBatchIsReadPieceByPieceAndGoneOnWith(t *testing.T) {
	t.Parallel()
	b, _ := halfway(t)
	x, err := b.Snapshot(t.Context(), starter.Listed{Ref: a, Open: true})
	require.NoError(t, err)
	require.Equal(t, "ewr-", x.Segments)
	all, pieces := rowsOf(t, x, starter.RowsQuery{Ahead: 3})
	require.Len(t, all, 3500)
	require.Equal(t, 4, pieces)
	for i := range all {
		require.Equal(t, i, all[i].Index)
		require.NotEmpty(t, all[i].To)
	}
	var cursor string
	for some, err := range x.Rows(t.Context(), starter.RowsQuery{}) {
		require.NoError(t, err)
		cursor = some.Next
		break
	}
	rest, _ := rowsOf(t, x, starter.RowsQuery{Cursor: cursor})
	require.Len(t, rest, 2500)
	require.Equal(t, 1000, rest[0].Index)
	rest, pieces = rowsOf(t, x, starter.RowsQuery{Ended: x.Segments})
	require.Len(t, rest, 2500, "segments that had ended are not read again")
	require.Equal(t, 3, pieces)
	newer, _ := rowsOf(t, x, starter.RowsQuery{Since: noon.UnixMilli()<<10 + 1})
	require.NotEmpty(t, newer)
	require.Less(t, len(newer), 3500)
}

func TestABatchIsListedWithWhoTookItsReports(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	start(t, s, request("a", 1))
	var all []starter.Listed
	for l, err := range s.Listed(t.Context(), starter.ListedQuery{Open: true}) {
		require.NoError(t, err)
		all = append(all, l)
	}
	require.Len(t, all, 1)
	require.Equal(t, starter.Ref{Tenant: "default", ID: "a"}, all[0].Ref)
	require.True(t, all[0].Open)
	require.NotEmpty(t, all[0].Run)
	f.lists = nil
	for _, err := range s.Listed(t.Context(), starter.ListedQuery{Open: true, Closed: true, Late: true, Since: noon}) {
		require.NoError(t, err)
	}
	var queries []string
	for _, q := range f.lists {
		queries = append(queries, q.GetQuery())
	}
	require.Len(t, queries, 4)
	require.Equal(t, starter.OpenBatchesQuery(), queries[0])
	require.Equal(t, "WorkflowType = 'KeepReports' AND ExecutionStatus = 'Running'", queries[1])
	require.Contains(t, queries[2], "KeepReports")
	require.Contains(t, queries[3], "ContinuedAsNew")
}

func TestFurtherAddressesAreReadWithTheRowsWhereThereAreAny(t *testing.T) {
	t.Parallel()
	s, f := newStarter(t, quickly())
	r := request("a", 2)
	r.Batch.Messages[1].Addresses = []message.Address{{Kind: message.KindPhone, Value: r.Batch.Messages[1].To}, {Kind: message.KindEmail, Value: "ann@example.com"}}
	start(t, s, r)
	res := resultOf("a", 2)
	f.flow(t, "batch-a").complete(t, res)
	var listed starter.Listed
	for l, err := range s.Listed(t.Context(), starter.ListedQuery{Closed: true}) {
		require.NoError(t, err)
		listed = l
	}
	x, err := s.Snapshot(t.Context(), listed)
	require.NoError(t, err)
	for some, err := range x.Rows(t.Context(), starter.RowsQuery{}) {
		require.NoError(t, err)
		require.Equal(t, [][]string{nil, {"ann@example.com"}}, some.Others)
	}
}
