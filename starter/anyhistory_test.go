package starter_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
	"volley/workflows"
)

// TestAnyHistoryAddsUp tells histories of steps in any order, possible or not.
func TestAnyHistoryAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		s, f := newStarter(t, starter.Options{})
		q := request("a", 6)
		q.Batch.AwaitReports = int64(seed%2) * 1000
		start(t, s, q)
		h := &teller{t: t, w: f.flow(t, "batch-a"), at: noon}
		tellAnything(h, rand.New(rand.NewPCG(seed, 7)))
		h.w.terminate(h.tick())

		st, err := s.Status(t.Context(), a)
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, 6, st.Counts.Total(), "seed %d", seed)
		require.Zero(t, st.Counts.Open(), "seed %d", seed)
		var counted message.Counts
		for row, err := range s.Results(t.Context(), a, starter.ResultQuery{}) {
			require.NoError(t, err)
			require.NotNil(t, row.FinishedAt, "seed %d message %d", seed, row.Index)
			counted[row.State]++
		}
		require.Equal(t, *st.Counts, counted, "seed %d", seed)
	}
}

func tellAnything(h *teller, r *rand.Rand) {
	kinds := []string{"sent", "expired", "not_started", "throttled", "unavailable", "ambiguous", "rejected", "invalid", "of a later version"}
	verdicts := []string{"found", "absent", "cannot_tell", "later", ""}
	var open []int64
	take := func() int64 {
		if len(open) == 0 {
			return 99
		}
		return open[r.IntN(len(open))] // also ones that have ended
	}
	for range 60 {
		i := r.IntN(8) - 1 // also messages that are not there
		switch r.IntN(10) {
		case 8:
			h.signal("reports", workflows.Reports{V: 1, Reports: []message.Report{
				tells(max(i, 0), []message.State{message.Delivered, message.Undelivered, message.Sent}[r.IntN(3)], []string{"one", "two", "three"}[r.IntN(3)]),
			}})
		case 0, 1:
			open = append(open, h.attempt(i, r.IntN(4), []string{"one", "two", "three"}[r.IntN(3)]))
		case 2:
			open = append(open, h.question(i))
		case 3:
			h.answer(take(), kinds[r.IntN(len(kinds))])
		case 4:
			h.verdict(take(), verdicts[r.IntN(len(verdicts))])
		case 5:
			h.timedOut(take(), int64(r.IntN(2)))
		case 6:
			h.canceled(take(), int64(r.IntN(2)))
		case 7:
			h.done(take(), "not a result")
			h.schedule("Send", []int{1})
		default:
			h.at = h.at.Add(time.Duration(r.IntN(10)) * time.Hour)
			h.signal([]string{"cancel", "reschedule", "pause"}[r.IntN(3)],
				[]any{nil, "text", message.CancelRequest{Messages: []string{message.KeyOf("batch-a").MessageID(max(i, 0))}}, message.RescheduleRequest{SendAfter: "3h"}}[r.IntN(4)])
		}
	}
}
