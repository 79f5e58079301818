package e2e_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/starter"
)

// Whatever characters metadata has, a real server's index finds it.
func TestListsFindMetadataWithAnyCharacters(t *testing.T) {
	t.Parallel()
	l := shared
	s := l.newStarter(starter.Options{InFlight: 100, Wait: busy, SearchMetadata: []string{"campaign"}})
	r := l.request(t, "hook", "Hi", notes(t, 1))
	value := `a\\b 'c' "d" ♡` + "\t\n\x00\x1a"
	metadata, err := json.Marshal(map[string]string{"campaign": value})
	require.NoError(t, err)
	r.Batch.Metadata = metadata
	_, err = s.Start(t.Context(), r)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		page, err := s.List(t.Context(), starter.ListQuery{Meta: "campaign=" + value})
		require.NoError(t, err)
		return len(page.Batches) == 1 && page.Batches[0].ID == r.ID
	}, 30*time.Second, 100*time.Millisecond)
}
