package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/audit"
)

func TestCountsAreReadAloud(t *testing.T) {
	t.Parallel()
	var e audit.Entry
	require.Empty(t, e.CountTexts())
	e.AddCounts(map[string]int{"sent": 0})
	require.Nil(t, e.Counts, "nothing is counted")
	e.AddCounts(map[string]int{"recipients": 1, "batches": 1, "added": 1})
	require.Equal(t, []string{"1 added", "1 batch", "1 recipient"}, e.CountTexts())
	e.AddCounts(map[string]int{"recipients": 4_999, "batches": 1})
	require.Equal(t, []string{"1 added", "2 batches", "5,000 recipients"}, e.CountTexts())
}
