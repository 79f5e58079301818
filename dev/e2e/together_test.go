package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"volley/internal/message"
	"volley/starter"
)

// Controls that arrive while no worker runs meet, in one workflow task, the
// messages that became due meanwhile.
func TestWhatWasAskedForWhileNoWorkerRanComesFirst(t *testing.T) {
	t.Parallel()
	l := shared
	for name, c := range map[string]struct {
		ask  func(t *testing.T, workflowID string) error
		want message.State
	}{
		"signal": {func(t *testing.T, id string) error {
			return l.client.SignalWorkflow(t.Context(), id, "", "cancel", nil)
		}, message.Canceled},
		"temporal": {func(t *testing.T, id string) error {
			return l.client.CancelWorkflow(t.Context(), id, "")
		}, message.Canceled},
		"reschedule": {func(t *testing.T, id string) error {
			return l.client.SignalWorkflow(t.Context(), id, "", "reschedule", message.RescheduleRequest{SendAfter: "1s"})
		}, message.Sent},
		"pause": {func(t *testing.T, id string) error {
			return l.client.SignalWorkflow(t.Context(), id, "", "pause", nil)
		}, message.Accepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := "late-" + name
			s := l.newStarter(starter.Options{TaskQueue: queue, InFlight: 48})
			ref := l.start(t, s, "hook", notes(t, 60))
			require.NoError(t, c.ask(t, starter.WorkflowID(ref)))
			stop, err := l.work(queue, nil)
			require.NoError(t, err)
			defer stop()
			if c.want == message.Accepted {
				l.until(t, ref, func(s message.Status) bool { return s.State == message.BatchPaused && s.Counts[c.want] == 60 })
				_, err := l.starter.Cancel(t.Context(), ref, message.CancelRequest{})
				require.NoError(t, err)
				c.want = message.Canceled
			}
			status, rows := l.wait(t, ref)
			require.Equal(t, 60, status.Counts[c.want], "%v", *status.Counts)
			l.agree(t, rows)
		})
	}
}

func TestALargeTemplateForManyRecipients(t *testing.T) {
	t.Parallel()
	l := shared
	all := notes(t, 100)
	for i := range all {
		all[i].Params = map[string]string{"name": fmt.Sprint(i)}
	}
	ref := l.startText(t, l.starter, "hook", "Hi ${name}"+strings.Repeat("x", 100<<10), all)
	status, rows := l.wait(t, ref)
	require.Equal(t, 100, status.Counts[message.Sent])
	l.agree(t, rows)
}

func TestABatchThatFillsSeveralHistories(t *testing.T) {
	t.Parallel()
	if mode != "" {
		return // no content stands in the history of a large batch
	}
	l := shared
	ref := l.startText(t, l.starter, "hook", "Hi ${name}"+strings.Repeat("x", 70<<10), notes(t, 300))
	status, rows := l.wait(t, ref)
	require.Equal(t, 300, status.Counts[message.Sent])
	l.agree(t, rows)
	runs := l.runs(t, starter.WorkflowID(ref))
	require.Greater(t, len(runs), 1)
	for _, run := range runs {
		require.Less(t, proto.Size(run), 12<<20)
	}
}
