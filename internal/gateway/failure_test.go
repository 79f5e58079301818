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
	b := newEnv(t, nil)
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
		"a busy Temporal":   {starter.ErrBusy, "unavailable", "5", "too much to do"},
		"Temporal, in time": {context.DeadlineExceeded, "unavailable", "5", "Temporal"},
		"the store":         {fmt.Errorf("%w: acme/manifest: %w", starter.ErrStore, context.DeadlineExceeded), "unavailable", "5", "the store of large batches does not answer"},
		"a shared store":    {starter.ErrStoreNotShared, "unavailable", "60", "not shared"},
		"an attribute":      {&starter.MissingAttributesError{Names: []string{"VolleyKey"}}, "unavailable", "60", "VolleyKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t, nil)
			b.start = fmt.Errorf("batch b1: %w", c.err)
			r := b.acme("POST", "/v1/batches?id=b1", one)
			doc := r.json(http.StatusServiceUnavailable)
			require.Equal(t, c.code, doc["code"])
			require.Contains(t, doc["detail"], c.text)
			require.Equal(t, c.after, r.Header().Get("Retry-After"))
		})
	}
}

func TestAChangeOfWhichNobodyCanSayIsNotCalledUndone(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", "/v1/batches?id=b1", one).json(http.StatusAccepted)
	b.change = fmt.Errorf("cancel batch b1: %w", starter.ErrMayHaveChanged)
	for action, body := range map[string]string{"cancel": "", "pause": "", "resume": "", "reschedule": `{"sendAfter":"1h"}`} {
		r := b.acme("POST", "/v1/batches/b1:"+action, body)
		doc := r.json(http.StatusGatewayTimeout)
		require.Equal(t, "may_have_changed", doc["code"])
		require.Contains(t, doc["detail"], "may have been recorded")
		require.Equal(t, "5", r.Header().Get("Retry-After"), "it can be asked for again")
	}
	b.start = &starter.MayHaveStartedError{Ref: starter.Ref{Tenant: "acme", ID: "b2"}, Cause: context.DeadlineExceeded}
	r := b.acme("POST", "/v1/batches/b1:redrive", "")
	require.Equal(t, "may_have_started", r.json(http.StatusGatewayTimeout)["code"])
	require.Equal(t, "b2", r.Header().Get("Volley-Batch-Id"))
	require.Equal(t, "5", r.Header().Get("Retry-After"), "the new batch's id follows from the query")
}

func TestSinchHearsOfACancelOfWhichNobodyCanSay(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", sinchMessages, sinchBody(`"send_after":"2026-11-28T09:00:00Z",`), asJSON).json(http.StatusOK)
	b.states = map[starter.Ref]message.BatchState{{Tenant: "acme", ID: "new-0"}: message.BatchScheduled}
	b.change = fmt.Errorf("cancel batch new-0: %w", starter.ErrMayHaveChanged)
	r := b.acme("DELETE", sinchMessages+"?batch_id=new-0", "")
	require.Equal(t, "DEADLINE_EXCEEDED", r.json(http.StatusGatewayTimeout)["status"])
}

func TestAFormIsRefusedAlsoBySinch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	doc := b.acme("POST", sinchMessages, sinchBody(""), "Content-Type: multipart/form-data; boundary=x").json(http.StatusUnsupportedMediaType)
	require.Equal(t, "INVALID_ARGUMENT", doc["status"])
}
