package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
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

func TestAllHoldsFitIntoOnePayload(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	worst := contract.Selector{Account: long, Tenant: long, From: 1, To: 5, Meta: "k=" + strings.Repeat("<", 49)}
	require.NoError(t, worst.Check())
	var all contract.Holds
	for i := range contract.MaxHolds + 1 {
		x := contract.Hold{Selector: worst, By: message.HeldBySuppression, Reason: strings.Repeat("<", message.MaxDetail), Since: 1e13, Until: 1e13}
		x.Account = fmt.Sprint(i, long)[:100]
		all = all.Apply(contract.HoldChange{V: 1, Hold: &x})
	}
	require.Len(t, all, contract.MaxHolds)
	raw, err := json.Marshal(contract.HoldsInput{V: 1, Holds: all})
	require.NoError(t, err)
	require.Less(t, len(raw), 2<<20)
	worst.Meta += "<"
	require.ErrorContains(t, worst.Check(), "meta has 304 bytes as JSON, at most 300 are possible")
}
