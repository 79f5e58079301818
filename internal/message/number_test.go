package message_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestNumbersHaveSeparators(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1_000_000: "1,000,000", -5: "-5", -999: "-999", -1000: "-1,000", -123456: "-123,456",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		require.Equal(t, want, message.Number(n))
	}
	require.Equal(t, "1 segment", message.Plural(1, "segment"))
	require.Equal(t, "0 segments", message.Plural(0, "segment"))
	require.Equal(t, "5,000 segments", message.Plural(5000, "segment"))
	require.Equal(t, "1 batch", message.Plural(1, "batch"))
	require.Equal(t, "2 batches", message.Plural(2, "batch"))
	require.Equal(t, "waits", message.Verb(1, "waits", "wait"))
	require.Equal(t, "wait", message.Verb(0, "waits", "wait"))
}
