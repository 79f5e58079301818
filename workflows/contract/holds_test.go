package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/workflows/contract"
)

func TestAHoldThatIsMadeAgainKeepsItsReasonAndItsTime(t *testing.T) {
	t.Parallel()
	hold := func(reason string, since int64) contract.HoldChange {
		return contract.HoldChange{Hold: &contract.Hold{Selector: contract.Selector{Account: "a"}, By: "person", Reason: reason, Since: since}}
	}
	h := contract.Holds{}.Apply(hold("key expired", 1)).Apply(hold("", 2))
	require.Len(t, h, 1)
	require.Equal(t, "key expired", h[0].Reason)
	require.Equal(t, int64(1), h[0].Since)
	require.Equal(t, "balance", h.Apply(hold("balance", 3))[0].Reason)
}
