package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestRevsOfClocksSettleAndOthersAreSettled(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() << message.RevShift }
	for name, c := range map[string]struct {
		st   message.Status
		want int64
	}{
		"one that counts":               {message.Status{State: message.BatchRunning, Rev: 17}, 17},
		"an ended one":                  {message.Status{State: message.BatchCompleted, Rev: ago(0)}, ago(0)},
		"an open one that just changed": {message.Status{State: message.BatchRunning, Rev: ago(0)}, ago(2 * time.Second)},
		"an open one that was quiet":    {message.Status{State: message.BatchRunning, Rev: ago(time.Minute)}, ago(time.Minute)},
		"an open one between":           {message.Status{State: message.BatchPaused, Rev: ago(9 * time.Second)}, ago(10 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.st.SettledRev(now))
		})
	}
}
