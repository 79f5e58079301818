package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// What somebody writes beside a control is cut before it reaches the workflow, which could
// not go on with more than the server takes in one payload.
func TestALongReasonDoesNotStopABatch(t *testing.T) {
	t.Parallel()
	l := shared.own(t, "", 0)
	l.serve(t)
	all := notes(t, 2)
	for i := range all {
		all[i].SendAfter = "1h"
	}
	ref := l.start(t, l.starter, l.served[0].Name, all)
	reason := strings.Repeat("because ", 400<<10)
	res, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{Messages: []string{"0"}, Reason: reason})
	require.NoError(t, err)
	require.Len(t, res.Canceled, 1)
	_, err = l.starter.Cancel(t.Context(), ref, message.CancelRequest{Reason: reason})
	require.NoError(t, err)
	status, rows := l.wait(t, ref)
	require.Equal(t, 2, status.Counts[message.Canceled])
	require.Len(t, rows[0].Detail, message.MaxDetail)
}

// What a hold selects is bounded: all holds stand in one payload.
func TestAHoldOfALongPairIsRefused(t *testing.T) {
	t.Parallel()
	_, err := shared.starter.Hold(t.Context(), starter.HoldRequest{
		Selector: starter.Selector{Tenant: "t", Meta: "campaign=" + strings.Repeat("x", 1<<20)}, ByTenant: "t",
	})
	require.ErrorIs(t, err, starter.ErrInvalid)
	require.ErrorContains(t, err, "at most")
	all, err := shared.starter.Holds(t.Context())
	require.NoError(t, err)
	for _, x := range all {
		require.NotContains(t, x.Meta, "campaign=xxx")
	}
}
