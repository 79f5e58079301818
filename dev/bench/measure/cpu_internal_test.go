package measure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUTimeIsThatOfUserAndSystem(t *testing.T) {
	t.Parallel()
	got, err := cpuOf("4711 (a ) b) S 1 2 3 4 5 6 7 8 9 10 1250 50 0 0 20 0 9 0\n")
	require.NoError(t, err)
	require.Equal(t, 13*time.Second, got)
	for _, text := range []string{"", "4711 (x) S 1 2", "4711 (x) S 1 2 3 4 5 6 7 8 9 10 a 50"} {
		_, err = cpuOf(text)
		require.Error(t, err, text)
	}
}
