package console_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/access"
	"volley/internal/console"
	"volley/internal/index"
	"volley/internal/message"
)

func TestWhatIsStuckIsShownWithItsReasonAndControl(t *testing.T) {
	t.Parallel()
	w := world()
	w.rows["b-1"] = []message.Row{{Index: 4, To: "+491511234567", Account: eu, State: message.Retrying, Code: "http_503", DueAt: at(-30 * time.Minute)}, {Index: 5, Account: eu, State: message.Accepted, DueAt: at(-time.Minute)}}
	w.rows["b-2"] = []message.Row{{Index: 0, Account: "bird-main", State: message.Accepted, DueAt: at(-time.Hour)}, {Index: 1, Account: "bird-main", State: message.Accepted, DueAt: at(-time.Hour)}}
	w.statuses["b-2"] = message.Status{State: message.BatchRunning}
	f := searched()
	f.batches = []index.Batch{{ID: "b-1", Tenant: "default", State: message.BatchRunning, Total: 2, Counts: message.Counts{message.Retrying: 1, message.Accepted: 1}}, {ID: "b-2", Tenant: "default", State: message.BatchRunning, Total: 2, Counts: message.Counts{message.Accepted: 2}}}
	s := serve(t, console.Options{Batches: w, Index: f, People: people()})
	body := s.as(t, access.Operator).get("/stuck", http.StatusOK)
	for _, want := range []string{
		"Stuck: 2 reasons", "They are held", "2 messages through bird-main", `href="/holds/release?account=bird-main"`,
		"sinch-eu is not available: the provider was away", "1 message through sinch-eu", "Hold sinch-eu",
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, s.as(t, access.Viewer).get("/stuck", http.StatusOK), "/holds/release", "who may not is not offered it")
	body = s.as(t, access.Viewer).get("/stuck?for=45m", http.StatusOK)
	require.Contains(t, body, "over 45 min ago")
	require.NotContains(t, body, "sinch-eu", "its message waits half an hour only")
	require.Contains(t, s.as(t, access.Viewer).get("/stuck?for=1m", http.StatusOK), `<option value="1m" selected>a minute</option>`)
	s.as(t, access.Viewer).get("/stuck?for=soon", http.StatusUnprocessableEntity)
	f.batches = nil
	require.Contains(t, s.as(t, access.Viewer).get("/stuck", http.StatusOK), "Nothing is stuck")
}
