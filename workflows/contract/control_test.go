package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/workflows/contract"
)

func TestOnlyUpdatesOfRoundsHaveARound(t *testing.T) {
	t.Parallel()
	require.Equal(t, 12, contract.RoundOf(contract.ControlPause, contract.RoundID(contract.ControlPause, 12)))
	for _, id := range []string{"", "pause", "pause-", "pause-0", "pause--1", "pause-+1", "pause-01", "pause-1x", "resume-1", "pause-99999999999999999999"} {
		require.Zero(t, contract.RoundOf(contract.ControlPause, id), id)
	}
}
