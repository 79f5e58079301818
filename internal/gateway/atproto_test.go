package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/nodetest"
	"volley/starter"
)

// seen is what testdata/atproto/client.mjs prints.
type seen struct {
	BadLogin, Conflict, Partial, Unknown *seenError
	Session                              struct{ DID, Handle string }
	GetSession                           map[string]any
	Batch, Again                         seenBatch
	One, Later                           map[string]any
	Empty                                struct{ Items []any }
}

type seenBatch struct {
	ID   string
	Data struct{ Items []map[string]any }
}

type seenError struct {
	Status                int
	Error, Message, Batch string
}

func TestBlueskysOwnClientSendsThroughTheGateway(t *testing.T) {
	t.Parallel()
	run := nodetest.Install(t, "testdata/atproto")
	later := atomic.Int64{} // nanoseconds
	b := newBed(t, func(o *gateway.Options) {
		bsky(o)
		o.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	})
	b.rows = func(ref starter.Ref) []message.Row {
		b.mu.Lock()
		batch := b.batches[ref]
		b.mu.Unlock()
		rows := []message.Row{}
		for i, m := range batch.Messages {
			row := message.Row{Index: i, ID: message.KeyOf(starter.WorkflowID(ref)).MessageID(i), Account: "bsky-main", State: message.Sent, SentAt: &now, Rev: 1}
			if m.To == "nobody" {
				row.State, row.SentAt, row.Code = message.Failed, nil, "RecipientNotFound"
			}
			rows = append(rows, row)
		}
		return rows
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.Header.Get("X-Later")); err == nil {
			later.Store(int64(d))
		}
		b.g.ServeHTTP(w, r)
	}))
	defer server.Close()

	var got seen
	require.NoError(t, json.Unmarshal(run("client.mjs", server.URL, acmeKey), &got))
	require.Equal(t, &seenError{Status: 401, Error: "AuthenticationRequired", Message: "Invalid identifier or password"}, got.BadLogin)
	require.Equal(t, "did:plc:ewvi7nxzyoun6zhxrhs64oiz", got.Session.DID)
	require.Equal(t, got.Session.DID, got.GetSession["did"])

	require.Len(t, got.Batch.Data.Items, 3)
	require.Equal(t, got.Batch, got.Again)
	require.NotEmpty(t, got.Batch.ID)
	require.Equal(t, "Hello 👋", got.Batch.Data.Items[0]["text"])
	require.Equal(t, map[string]any{"did": got.Session.DID}, got.Batch.Data.Items[0]["sender"])
	require.Len(t, got.Batch.Data.Items[1]["facets"], 1)
	require.Equal(t, "app.bsky.embed.record", got.Batch.Data.Items[2]["embed"].(map[string]any)["$type"])
	for _, view := range append(got.Batch.Data.Items, got.One, got.Later) {
		require.Equal(t, "chat.bsky.convo.defs#messageView", view["$type"])
	}

	require.Equal(t, 400, got.Conflict.Status, "the client knows no 409 and shows a 400")
	require.Equal(t, "InvalidRequest", got.Conflict.Error)
	require.Equal(t, 400, got.Partial.Status)
	require.Equal(t, "RecipientNotFound", got.Partial.Error)
	require.NotEmpty(t, got.Partial.Batch)
	require.Contains(t, got.Partial.Message, "item 1 of batch "+got.Partial.Batch)
	require.Empty(t, got.Empty.Items)
	require.Equal(t, 501, got.Unknown.Status)
	require.Equal(t, "MethodNotImplemented", got.Unknown.Error)
}
