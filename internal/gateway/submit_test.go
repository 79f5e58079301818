package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAConflictNamesTheBatchThatIsThere(t *testing.T) {
	t.Parallel()
	b := newBed(t, bsky)
	for i, c := range []struct{ target, scheme, first, other string }{
		{"/v1/batches", "Bearer ", one, one + " "},
		{birdSubmit, "AccessKey ", birdText("+15550001111"), birdText("+15550002222")},
		{sinchMessages, "Bearer ", sinchBody(""), sinchBody(`"correlation_id":"c",`)},
		{"/messages/batch", "Bearer ", imkitTwo, imkitTwo + " "},
		{blueskyBatch, "Bearer ", three, three + " "},
	} {
		post := func(body string) reply {
			return b.call("POST", c.target, body, asJSON, fmt.Sprint("Idempotency-Key: k", i), "IM-API-KEY: "+acmeKey, "Authorization: "+c.scheme+acmeKey)
		}
		first, other := post(c.first), post(c.other)
		require.Less(t, first.Code, 300, c.target)
		require.Equal(t, http.StatusConflict, other.Code, c.target)
		for _, r := range []reply{first, other} {
			require.Equal(t, fmt.Sprint("key-k", i), r.Header().Get("Volley-Batch-Id"), c.target)
		}
	}
}
