package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// addresses is the first line that dev prints.
type addresses struct {
	Temporal, UI, Gateway, Sandbox, Codec string
}

// received is how often the sandbox of another process accepted each message.
func (a addresses) received(t *testing.T) map[string]int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Sandbox+"/messages?limit=10000", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var page struct {
		Messages []struct{ ID string }
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&page))
	times := map[string]int{}
	for _, m := range page.Messages {
		times[m.ID]++
	}
	return times
}
