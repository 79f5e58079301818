package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// An account whose answers take long has many requests under way, of which those that
// are in doubt are asked about on the same queue. What the doubts cost is logged as the
// ratio of two batches side by side.
func TestWhatDoubtfulAnswersCostAnAccountWithARate(t *testing.T) {
	t.Parallel()
	const rate, n = 10, 150
	took := make([]time.Duration, 2)
	t.Run("at once", func(t *testing.T) {
		for i, name := range []string{"none", "every tenth"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := shared.own(t, messages, 5*time.Second)
				l.served[0].Rate = rate
				l.serve(t)
				all := notes(t, n)
				for k := range all {
					if i == 1 && k%10 == 5 {
						all[k].To += "+drop"
					} else {
						all[k].To += "+slow"
					}
				}
				began := time.Now()
				ref := l.large(t, all)
				status, rows := l.wait(t, ref)
				took[i] = time.Since(began)
				require.Equal(t, n, status.Counts[message.Sent], "%v", *status.Counts)
				l.agree(t, rows)
			})
		}
	})
	t.Logf("%v without and %v with doubtful answers: %.2f", took[0], took[1], took[1].Seconds()/took[0].Seconds())
}
