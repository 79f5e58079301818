package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestSinchShowsABatch(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.acme("POST", sinchMessages, sinchBody(`"send_after":"2026-11-27T09:31:00Z","batch_metadata":{"campaign":"spring"},`))
	b.states[starter.Ref{Tenant: "acme", ID: "new-0"}] = message.BatchScheduled
	require.Equal(t, map[string]any{
		"batch_id": "new-0", "meta_data": map[string]any{"campaign": "spring", "_batch_id": "new-0"}, "status": "SCHEDULED", "send_after": "2026-11-27T09:35:00Z",
	}, b.acme("GET", sinchMessages+"/new-0", "").json(http.StatusOK))
	b.call("GET", sinchMessages+"/new-0", "", "Authorization: Bearer "+otherKey).sinch(http.StatusNotFound, "NOT_FOUND")
	b.acme("POST", "/v1/batches?id=own", one)
	b.acme("GET", sinchMessages+"/own", "").sinch(http.StatusNotFound, "NOT_FOUND")
}

// ids are those of an answer that is a list of batches.
func (r reply) ids() []string {
	r.t.Helper()
	require.Equal(r.t, http.StatusOK, r.Code, r.Body.String())
	var list []struct {
		BatchID string `json:"batch_id"`
	}
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &list))
	ids := []string{}
	for _, b := range list {
		ids = append(ids, b.BatchID)
	}
	return ids
}

func TestSinchListsByMetadataThroughAllPages(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	var asked []starter.ListQuery
	b.list = func(q starter.ListQuery) (starter.Batches, error) {
		asked = append(asked, q)
		n := len(asked)
		meta := []string{`{"k":"v"}`, `{}`, `{"k":"vv"}`, `{"k":1}`}
		out := starter.Batches{Next: strings.Repeat("n", max(0, 2-n))}
		for i, m := range meta {
			out.Batches = append(out.Batches, message.Status{ID: fmt.Sprint(n, "-", i), Dialect: "sinch", State: message.BatchRunning, Metadata: json.RawMessage(m)})
		}
		return out, nil
	}
	// A list may lack what the batch itself has.
	b.batches[starter.Ref{Tenant: "acme", ID: "1-1"}] = &message.Batch{Dialect: "sinch", Metadata: json.RawMessage(`{"k":"v"}`)}
	b.batches[starter.Ref{Tenant: "acme", ID: "2-1"}] = &message.Batch{Dialect: "sinch", Metadata: json.RawMessage(`{"k":"other"}`)}
	require.Equal(t, []string{"1-0", "1-1", "2-0"}, b.acme("GET", sinchMessages+"?metadataKey=k&metadataValue=v", "").ids())
	require.Equal(t, starter.ListQuery{Tenant: "acme", Dialect: "sinch", Meta: "k=v", Limit: 500}, asked[0])
	require.Equal(t, "n", asked[1].Cursor)

	require.Equal(t, []string{"metadataKey", "metadataValue"}, b.acme("GET", sinchMessages, "").sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Equal(t, []string{"metadataValue"}, b.acme("GET", sinchMessages+"?metadataKey=k", "").sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Equal(t, "[]\n", b.acme("GET", sinchMessages+"?metadataKey=_batch_id&metadataValue=none", "").Body.String())
	b.acme("POST", sinchMessages, sinchBody(""))
	require.Equal(t, []string{"new-2"}, b.acme("GET", sinchMessages+"?metadataKey=_batch_id&metadataValue=new-2", "").ids())
}

func TestSinchCancelsOnlyWhatHasNotBegun(t *testing.T) {
	t.Parallel()
	for state, canceled := range map[message.BatchState]bool{
		message.BatchScheduled: true, message.BatchRunning: false, message.BatchCompleted: false, message.BatchCanceled: false,
	} {
		for how, request := range map[string][2]string{
			"body":       {sinchMessages, `{"batch_id":"new-0"}`},
			"query":      {sinchMessages + "?batch_id=new-0", ""},
			"metadata":   {sinchMessages, `{"metadata_key":"k","metadata_value":"v"}`},
			"parameters": {sinchMessages + "?metadataKey=k&metadataValue=v", ""},
		} {
			t.Run(string(state)+" "+how, func(t *testing.T) {
				t.Parallel()
				b := newBed(t, nil)
				b.acme("POST", sinchMessages, sinchBody(`"batch_metadata":{"k":"v"},`))
				b.states[starter.Ref{Tenant: "acme", ID: "new-0"}] = state
				var asked []string
				b.cancel = func(ref starter.Ref, _ message.CancelRequest) (message.CancelResult, error) {
					asked = append(asked, ref.ID)
					return message.CancelResult{Batch: ref.ID}, starter.ErrNoWorker
				}
				r := b.acme("DELETE", request[0], request[1])
				require.Equal(t, map[string]any{}, r.json(http.StatusOK))
				require.Equal(t, canceled, len(asked) == 1)
			})
		}
	}
}

func TestSinchACancelIsAlwaysTaken(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.acme("POST", sinchMessages, sinchBody(""))
	b.states[starter.Ref{Tenant: "acme", ID: "new-0"}] = message.BatchScheduled
	b.cancel = func(ref starter.Ref, _ message.CancelRequest) (message.CancelResult, error) {
		return message.CancelResult{}, fmt.Errorf("batch %s of %s: %w", ref.ID, ref.Tenant, starter.ErrEnded)
	}
	require.Equal(t, http.StatusOK, b.acme("DELETE", sinchMessages, `{"batch_id":"none"}`).Code)
	require.Equal(t, http.StatusOK, b.acme("DELETE", sinchMessages, `{"batch_id":"new-0"}`).Code)
	require.Equal(t, http.StatusOK, b.call("DELETE", sinchMessages, `{"batch_id":"new-0"}`, "Authorization: Bearer "+otherKey).Code)
	b.cancel = func(starter.Ref, message.CancelRequest) (message.CancelResult, error) {
		return message.CancelResult{}, starter.ErrUnreachable
	}
	b.acme("DELETE", sinchMessages, `{"batch_id":"new-0"}`).sinch(http.StatusServiceUnavailable, "UNAVAILABLE")
	for _, body := range []string{"", "{}", "[]", "{", `{"metadata_value":"v"}`} {
		b.acme("DELETE", sinchMessages, body).sinch(http.StatusBadRequest, "INVALID_ARGUMENT")
	}
}
