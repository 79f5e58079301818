package contract_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/workflows/contract"
)

// These texts stand in histories: they may gain fields and lose none.
func TestShapesOfNotifyDoNotChange(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(contract.NotifyInput{
		V: 1, ID: "b", Tenant: "acme", Dialect: "volley", Total: 3, Large: true, Cursor: contract.Cursor{Rev: 7},
		Callbacks: message.Callbacks{URL: "https://example.com"}, Told: 2, GivenUp: 1, Failing: &contract.Failing{Since: 5, Tries: 6},
	})
	require.NoError(t, err)
	require.Equal(t, `{"v":1,"id":"b","tenant":"acme","dialect":"volley","total":3,"large":true,"callbacks":{"url":"https://example.com"},`+
		`"cursor":{"rev":7},"told":2,"givenUp":1,"failing":{"since":5,"tries":6}}`, string(raw))
	raw, err = json.Marshal(contract.NotifyResult{V: 1, Cursor: contract.Cursor{Rev: 7}, Told: 2, Gone: true})
	require.NoError(t, err)
	require.Equal(t, `{"v":1,"cursor":{"rev":7},"told":2,"givenUp":0,"gone":true}`, string(raw))
	require.Equal(t, "batch-b~notify", contract.NotifyID("batch-b"))
	require.Equal(t, "volley-notify", contract.NotifyQueue(contract.TaskQueue))
}
