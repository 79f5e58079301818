package e2e_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// What is asserted is the sum since the first request: one that a busy machine makes
// late only lowers it, where it could fill up a second of its own.
func TestTwoWorkersKeepToOneRate(t *testing.T) {
	t.Parallel()
	const rate = 50
	for name, later := range map[string]int64{"both from the beginning": 0, "one comes while the other sends": rate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothWays(t, 0, func(t *testing.T, l *lab) {
				l.served[0].Rate = rate
				l.serve(t)
				if later == 0 {
					l.serve(t)
				}
				ref := l.large(t, notes(t, 6*rate))
				if later > 0 {
					l.some(t, later)
					l.serve(t)
				}
				status, rows := l.wait(t, ref)
				require.Equal(t, 6*rate, status.Counts[message.Sent], "%v", *status.Counts)
				l.agree(t, rows)

				var at []time.Time
				for _, r := range l.sandbox.Received() {
					at = append(at, r.At)
				}
				slices.SortFunc(at, time.Time.Compare)
				for i, a := range at {
					seconds := math.Ceil(a.Sub(at[0]).Seconds() + 1e-9)
					require.LessOrEqual(t, float64(i+1), 1.1*rate*seconds, "requests %v after the first", a.Sub(at[0]))
				}
			})
		})
	}
}

// Attempts that wait for their turn are asked back by a pause, and some of them end all the
// same. They are made again, each under an id of its own.
func TestWhatAPauseAsksBackFromAnAccountWithARateIsMadeAgain(t *testing.T) {
	t.Parallel()
	l := shared.own(t, messages, 0)
	l.served[0].Rate = 60
	l.serve(t)
	ref := l.large(t, notes(t, 400))
	for sent := int64(60); sent <= 240; sent += 60 {
		l.some(t, sent)
		_, err := l.starter.Pause(t.Context(), ref)
		require.NoError(t, err)
		_, err = l.starter.Resume(t.Context(), ref)
		require.NoError(t, err)
	}
	_, err := l.starter.Reschedule(t.Context(), ref, message.RescheduleRequest{SendAfter: "1s"})
	require.NoError(t, err)
	status, rows := l.wait(t, ref)
	require.Equal(t, 400, status.Counts[message.Sent], "%v", *status.Counts)
	l.agree(t, rows)
}
