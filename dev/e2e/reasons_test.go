package e2e_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	sdk "go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows/contract"
)

// Why messages did not arrive is told while the batch runs, in its status, in lists, in
// the Web UI's details and by a search attribute, and it is the same after its end.
func TestABatchSaysWhyMessagesDidNotArrive(t *testing.T) {
	t.Parallel()
	for name, total := range map[string]int{"small": 60, "large": 1_100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, time.Millisecond, func(t *testing.T, l *lab) {
				l.serve(t)
				all := notes(t, total)
				for i := range 6 {
					all[i*7].To += "+reject"
				}
				all[5].Params = nil
				all[total-1].To += "+down"
				ref := l.large(t, all)
				want := message.Reasons{
					{State: message.Failed, Code: "recipient", Count: 6},
					{State: message.Retrying, Code: "unavailable", Count: 1},
					{State: message.Rejected, Code: "parameter", Count: 1},
				}
				st := l.until(t, ref, func(s message.Status) bool {
					return s.Counts[message.Sent] == total-8 && s.Counts[message.Retrying] == 1 && s.RetryUntil != nil // what its run tells, which may be late
				})
				require.ElementsMatch(t, want, withoutDetails(st.Reasons))
				require.NotEmpty(t, st.Reasons[0].Detail)
				require.Nil(t, st.EstimatedEnd, "a retry may be followed by others")
				l.until(t, ref, func(message.Status) bool { return l.failedShown(t, ref) > 0 })
				var listed message.Reasons
				require.Eventually(t, func() bool { // a worker that is busy tells none in time, and what is tried again just now does not wait
					page, err := l.starter.List(t.Context(), starter.ListQuery{Counts: true, Limit: 1000})
					require.NoError(t, err)
					at := slices.IndexFunc(page.Batches, func(b message.Status) bool { return b.ID == ref.ID })
					if at >= 0 {
						listed = page.Batches[at].Reasons
					}
					return len(listed) == len(want)
				}, busy, 50*time.Millisecond)
				require.ElementsMatch(t, want, withoutDetails(listed))
				_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
				require.NoError(t, err)
				st, _ = l.wait(t, ref)
				require.ElementsMatch(t, []message.Reason{want[0], want[2]}, withoutDetails(st.Reasons))
				require.Equal(t, int64(6), l.failedShown(t, ref))
				require.Contains(t, l.details(t, ref), "🔴 **failed 6**: recipient 6")
			})
		})
	}
}

func withoutDetails(rs message.Reasons) message.Reasons {
	short := append(message.Reasons{}, rs...)
	for i := range short {
		short[i].Detail = ""
	}
	return short
}

// failedShown is the search attribute of a batch with its messages that failed.
func (l *lab) failedShown(t *testing.T, ref starter.Ref) int64 {
	t.Helper()
	d, err := l.client.DescribeWorkflow(t.Context(), starter.WorkflowID(ref), "")
	require.NoError(t, err)
	n, _ := d.TypedSearchAttributes.GetInt64(sdk.NewSearchAttributeKeyInt64(contract.AttrFailed))
	return n
}

// details are what the Web UI shows of a batch.
func (l *lab) details(t *testing.T, ref starter.Ref) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := l.client.QueryWorkflow(ctx, starter.WorkflowID(ref), "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var raw converter.RawValue
	require.NoError(t, answer.Get(&raw))
	return strings.ReplaceAll(string(raw.Payload().GetData()), `\n`, "\n")
}
