package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/gateway"
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
		"a batch is sealed": {fmt.Errorf("batch b: %w: sealed with key 7", starter.ErrSealed), "unavailable", "60", "the batch cannot be opened: the gateway lacks a key"},
		"a key is missing":  {fmt.Errorf("batch b: %w: sealed with key 7", starter.ErrStoreSealed), "unavailable", "60", "the store of large batches cannot be opened: the gateway lacks a key"},
		"the store is away": {fmt.Errorf("batch b: %w: batch other-tenants runs out of it", starter.ErrStoreAway), "unavailable", "60", "the store of large batches is away: it has to be mounted again"},
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

// The lists of Sinch and Bird have no place for a batch that is damaged: it keeps nobody
// from the others. What is away keeps them from all, and a cancel tells of each.
func TestAListLeavesOutOneBatchThatCannotBeRead(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.ErrorLevel)
	b := newBirdEnv(t, func(o *gateway.Options) { o.Log = zap.New(core) })
	var bird, sinch []string
	for _, to := range []string{"+15550001111", "+15550002222"} {
		bird = append(bird, b.bird("POST", birdSubmit, birdText(to)).json(http.StatusAccepted)["id"].(string))
		id := b.acme("POST", sinchMessages, sinchBody("")).json(http.StatusOK)["batch_id"].(string)
		sinch = append(sinch, id)
		b.batches[starter.Ref{Tenant: "acme", ID: id}].Metadata = json.RawMessage(`{"k":"v"}`)
	}
	var fault error
	b.fake.accepted = func(ref starter.Ref) error {
		if ref.ID == bird[0] || ref.ID == sinch[0] {
			return fault
		}
		return nil
	}
	b.status = func(ref starter.Ref) (message.Status, error) { // the list has no metadata of Sinch's
		batch := b.fake.batches[ref]
		st := message.Status{ID: ref.ID, Dialect: batch.Dialect, State: message.BatchScheduled, CreatedAt: batch.CreatedAt}
		if st.Dialect == "bird" {
			st.Metadata = batch.Metadata
		}
		return st, nil
	}
	b.list = func(q starter.ListQuery) (out starter.Batches, err error) {
		for ref, batch := range b.fake.batches {
			if st, err := b.status(ref); err == nil && batch.Dialect == q.Dialect {
				out.Batches = append(out.Batches, st)
			}
		}
		return out, nil
	}
	count := func() (messages, batches int) {
		page := b.bird("GET", birdChannel+"/messages", "").json(http.StatusOK)
		return len(idsOf(page, "results")), len(b.acme("GET", sinchMessages+"?metadataKey=k&metadataValue=v", "").ids())
	}
	messages, batches := count()
	require.Equal(t, []int{2, 2}, []int{messages, batches})
	fault = errors.New("a segment of it is damaged")
	messages, batches = count()
	require.Equal(t, []int{1, 1}, []int{messages, batches})
	require.Equal(t, 2, logs.FilterMessage("a batch cannot be read, and is left out of a list").Len())
	require.Equal(t, http.StatusInternalServerError, b.acme("DELETE", sinchMessages, `{"metadata_key":"k","metadata_value":"v"}`).Code)
	fault = starter.ErrUnreachable
	require.Equal(t, http.StatusServiceUnavailable, b.bird("GET", birdChannel+"/messages", "").Code)
	require.Equal(t, http.StatusServiceUnavailable, b.acme("GET", sinchMessages+"?metadataKey=k&metadataValue=v", "").Code)
}
