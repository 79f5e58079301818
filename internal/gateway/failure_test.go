package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestWhatABatchRefusesIsToldInItsOwnWords(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	b.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		return message.CancelResult{}, fmt.Errorf("cancel batch b1: %w: cancel all of it, or the others later", starter.ErrRefused)
	}
	doc := b.acme("POST", "/v1/batches/b1:cancel", `{"messages":["0"]}`).json(http.StatusConflict)
	require.Equal(t, "refused", doc["code"])
	require.Contains(t, doc["detail"], "cancel all of it, or the others later")
}

func TestWhatIsAwayIsToldWithWhenToComeAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err               error
		code, after, text string
	}{
		"a worker":          {starter.ErrNoWorker, "no_worker", "10", "no worker"},
		"Temporal":          {starter.ErrUnreachable, "unavailable", "5", "Temporal"},
		"Temporal, in time": {context.DeadlineExceeded, "unavailable", "5", "Temporal"},
		"the store":         {fmt.Errorf("%w: acme/manifest: %w", starter.ErrStore, context.DeadlineExceeded), "unavailable", "5", "the store of large batches does not answer"},
		"a shared store":    {starter.ErrStoreNotShared, "unavailable", "60", "not shared"},
		"an attribute":      {&starter.MissingAttributesError{Names: []string{"VolleyKey"}}, "unavailable", "60", "VolleyKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, nil)
			b.start = fmt.Errorf("batch b1: %w", c.err)
			r := b.acme("POST", "/v1/batches?id=b1", one)
			doc := r.json(http.StatusServiceUnavailable)
			require.Equal(t, c.code, doc["code"])
			require.Contains(t, doc["detail"], c.text)
			require.Equal(t, c.after, r.Header().Get("Retry-After"))
		})
	}
}
