package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestDurationsMayHaveDays(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"3d": 3 * day, "1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, ".5d": 12 * time.Hour, "0d": 0, "0d0s": 0, "0.1d": 144 * time.Minute,
		"365d": 365 * day, "1d1h1m1.5s": day + time.Hour + time.Minute + 1500*time.Millisecond, "1d0s": day,
		"-1d12h": -36 * time.Hour, "+2d": 2 * day, "106751d23h": 106751*day + 23*time.Hour,
		"90s": 90 * time.Second, "2h30m": 150 * time.Minute, "0": 0, "-5m": -5 * time.Minute, "1µs": time.Microsecond,
	} {
		got, err := message.ParseDuration(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{
		"", "d", "3", "1dd", "1d1d", "12h1d", "1d0", "1d-1h", "1d+1h", "--1d", "+-1d", "1 d", "1d 12h", "1w", "2mo", "1D", "1.d.d",
		"1..5d", ".d", "1e3d", "NaN", "NaNd", "Infd", "٣d", "106752d", "106751d24h", "99999999999999999999d", "1h2d", "0x1d", "1_0d",
	} {
		got, err := message.ParseDuration(s)
		require.Error(t, err, s)
		require.Zero(t, got, s)
	}
}

// FuzzParseDuration compares durations with days with what Go reads once the days
// are written as hours.
func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"3d", "1d12h", "1.5d", "-1d1ns", "106751d23h47m16.854775807s", "1d0", "5m", "1d-1h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := message.ParseDuration(s)
		plain, plainErr := time.ParseDuration(s)
		if plainErr == nil {
			require.NoError(t, err)
			require.Equal(t, plain, d)
		}
		if err != nil {
			return
		}
		negative := len(s) > 0 && s[0] == '-'
		require.True(t, d == 0 || (d < 0) == negative, "%q is %s", s, d)
		again, err := message.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

func TestATimeIsATimeOrADurationFromNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-12-24T18:00:00Z": time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC), "2020-01-01T00:00:00Z": time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		"10m": now.Add(10 * time.Minute), "1d": now.Add(24 * time.Hour), "0s": now, "0": now, "-0s": now,
	} {
		got, err := message.ParseTime(s, now)
		require.NoError(t, err, s)
		require.True(t, want.Equal(got), "%s is %s", s, got)
	}
	for _, s := range []string{"", "-1s", "-1d", "tomorrow", "2026-12-24", "10"} {
		got, err := message.ParseTime(s, now)
		require.ErrorContains(t, err, "duration from now", s)
		require.Zero(t, got)
	}
	for d, want := range map[time.Duration]string{
		365 * 24 * time.Hour: "a year", 35 * 24 * time.Hour: "35 days", 24 * time.Hour: "1 day", 36 * time.Hour: "36h0m0s", 366 * 24 * time.Hour: "366 days",
	} {
		require.Equal(t, want, message.Horizon(d))
	}
}

func TestPrioritiesAreOneOrARange(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][2]int{"": {0, 0}, "3": {3, 3}, "1-5": {1, 5}, "4-4": {4, 4}, "1": {1, 1}, "5": {5, 5}} {
		from, to, err := message.ParsePriorities(s)
		require.NoError(t, err, s)
		require.Equal(t, want, [2]int{from, to}, s)
	}
	for _, s := range []string{"0", "6", "0-3", "3-6", "4-3", "-", "3-", "-3", "a", "1-b", "1-2-3", " 3"} {
		_, _, err := message.ParsePriorities(s)
		require.ErrorContains(t, err, "from 1 to 5", s)
	}
}
