package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestSinchShowsABatch(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
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
	b := newEnv(t, nil)
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
				b := newEnv(t, nil)
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
	b := newEnv(t, nil)
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
	for _, body := range []string{
		"", "{}", "[]", "{", `{"metadata_value":"v"}`, `{"metadata_key":"k"}`,
		`{"metadata_key":"k","metadata_value":null}`, `{"batch_id":"new-0","batch_id":"none"}`,
	} {
		b.acme("DELETE", sinchMessages, body).sinch(http.StatusBadRequest, "INVALID_ARGUMENT")
	}
	require.Equal(t, []string{"metadata_value"}, b.acme("DELETE", sinchMessages+"?metadataKey=k", "").sinch(http.StatusBadRequest, "INVALID_ARGUMENT"))
	require.Equal(t, http.StatusOK, b.acme("DELETE", sinchMessages+"?metadataKey=k&metadataValue=", "").Code, "a value may be empty")
}

// cancels are the batches that a cancel was left for.
type cancels struct {
	mu  sync.Mutex
	ids []string
}

func (c *cancels) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, id)
}

func TestSinchACancelIsLeftWhereNoWorkerAnswers(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	b.acme("POST", sinchMessages, sinchBody(`"send_after":"2026-11-27T09:31:00Z",`)) // new-0
	b.acme("POST", sinchMessages, sinchBody(""))
	b.acme("POST", "/v1/batches?id=own", one)
	b.status = func(starter.Ref) (message.Status, error) {
		return message.Status{}, fmt.Errorf("ask: %w", starter.ErrNoWorker)
	}
	b.list = func(starter.ListQuery) (starter.Batches, error) {
		st := message.Status{ID: "new-0", Dialect: "sinch", State: message.BatchScheduled, NextDueAt: new(now.Add(time.Hour)), Metadata: json.RawMessage(`{"k":"v"}`)}
		due := st
		due.ID, due.NextDueAt = "new-1", new(now)
		return starter.Batches{Batches: []message.Status{st, due}}, nil
	}
	for _, body := range []string{
		`{"batch_id":"new-0"}`, `{"metadata_key":"_batch_id","metadata_value":"new-0"}`, `{"metadata_key":"k","metadata_value":"v"}`,
	} {
		var left cancels
		b.cancel = func(ref starter.Ref, _ message.CancelRequest) (message.CancelResult, error) {
			left.add(ref.ID)
			return message.CancelResult{Batch: ref.ID}, fmt.Errorf("recorded: %w", starter.ErrNoWorker)
		}
		require.Equal(t, map[string]any{}, b.acme("DELETE", sinchMessages, body).json(http.StatusOK))
		require.Equal(t, []string{"new-0"}, left.ids, body)
		for _, id := range []string{"new-1", "own", "none"} { // it is due; it is none of Sinch's; it is not there
			require.Equal(t, map[string]any{}, b.acme("DELETE", sinchMessages, `{"batch_id":"`+id+`"}`).json(http.StatusOK))
		}
		require.Equal(t, http.StatusOK, b.call("DELETE", sinchMessages, `{"batch_id":"new-0"}`, "Authorization: Bearer "+otherKey).Code)
		require.Len(t, left.ids, 1)
	}
}

func TestSinchABatchThatCannotBeCanceledKeepsNoneFromIt(t *testing.T) {
	t.Parallel()
	b := newEnv(t, nil)
	var all []message.Status
	for i := range 20 {
		b.acme("POST", sinchMessages, sinchBody(`"batch_metadata":{"k":"v"},`))
		id := fmt.Sprint("new-", i)
		b.states[starter.Ref{Tenant: "acme", ID: id}] = message.BatchScheduled
		all = append(all, message.Status{ID: id, Dialect: "sinch", State: message.BatchScheduled, Metadata: json.RawMessage(`{"k":"v"}`)})
	}
	b.list = func(starter.ListQuery) (starter.Batches, error) { return starter.Batches{Batches: all}, nil }
	var left cancels
	b.cancel = func(ref starter.Ref, _ message.CancelRequest) (message.CancelResult, error) {
		if ref.ID == "new-0" {
			return message.CancelResult{}, starter.ErrUnreachable
		}
		left.add(ref.ID)
		return message.CancelResult{Batch: ref.ID}, nil
	}
	b.acme("DELETE", sinchMessages, `{"metadata_key":"k","metadata_value":"v"}`).sinch(http.StatusServiceUnavailable, "UNAVAILABLE")
	require.Len(t, left.ids, 19)
}

// Temporal takes only so many changes of one batch at once.
func TestSinchCancelsOfOneBatchWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newEnv(t, nil)
		b.acme("POST", sinchMessages, sinchBody(""))
		b.states[starter.Ref{Tenant: "acme", ID: "new-0"}] = message.BatchScheduled
		var inside atomic.Int32
		release := make(chan struct{})
		b.cancel = func(ref starter.Ref, _ message.CancelRequest) (message.CancelResult, error) {
			inside.Add(1)
			<-release
			return message.CancelResult{Batch: ref.ID}, nil
		}
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				require.Equal(t, http.StatusOK, b.acme("DELETE", sinchMessages, `{"batch_id":"new-0"}`).Code)
			})
		}
		synctest.Wait()
		require.EqualValues(t, 4, inside.Load())
		close(release)
		calls.Wait()
		require.EqualValues(t, 20, inside.Load())
	})
}
