package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestTimesAreReadAsRFC3339SaysIt(t *testing.T) {
	t.Parallel()
	evening := time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-12-24T18:00:00Z": evening, "2026-12-24t18:00:00z": evening, "2026-12-24T18:00:00z": evening,
		"2026-12-24t19:00:00+01:00": evening, "2026-12-24T18:00:00.000Z": evening, "2026-12-24T18:00:00.5z": evening.Add(time.Second / 2),
		"2026-12-24T18:00:00-00:00": evening,
	} {
		got, err := message.ParseRFC3339(s)
		require.NoError(t, err, s)
		require.True(t, want.Equal(got), "%s: %s", s, got)
	}
	for _, s := range []string{
		"", "z", "2026-12-24", "2026-12-24T9:00:00Z", "2026-12-24T18:00:00,5Z", "2026-12-24 18:00:00Z", "2026-12-24T18:00Z", "2026-12-24T18:00:00",
		"2026-12-24T18:00:00+0100", "2026-12-24T18:00:00+24:00", "2026-12-24T18:00:00-01:60", "2026-12-24T24:00:00Z", "2026-12-24T23:59:60Z", "2026-02-30T18:00:00Z",
		" 2026-12-24T18:00:00Z", "2026-12-24T18:00:00.Z", "10m",
	} {
		_, err := message.ParseRFC3339(s)
		require.Error(t, err, s)
	}
}
