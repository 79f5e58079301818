package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestABarOf80ColumnsSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	st := message.Status{
		State: message.BatchRunning, Total: 1_000_000, CreatedAt: now.Add(-time.Hour), AsOf: now,
		Counts: &message.Counts{message.Sent: 117_689, message.Failed: 20_899, message.Retrying: 1_603, message.Accepted: 859_709, message.Sending: 100},
	}
	words := barWords(st, now)
	require.Equal(t, "running, 117,689 sent, 20,899 failed, 1,603 retrying", words[:len("running, 117,689 sent, 20,899 failed, 1,603 retrying")])
	require.Contains(t, words, "859,709 waiting")
	shown := clipWidth(words, 80-besideShortBar-shortBar)
	require.Contains(t, shown, "1,603 retrying")
}
