package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// Paths of the account that every bed has.
const (
	birdChannel = "/workspaces/" + workspace + "/channels/" + channel
	birdSubmit  = birdChannel + "/batch/messages"
	// elsewhere is an id that no account has.
	elsewhere = "99999999-9999-4999-8999-999999999999"
)

// birdIDs gives batches the ids that a starter would give them.
type birdIDs struct{ *fake }

func (f birdIDs) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	if r.ID == "" {
		r.ID = uuid.NewString()
		if r.IdempotencyKey != "" {
			r.ID = uuid.NewSHA1(uuid.Nil, []byte(r.Tenant+r.IdempotencyKey)).String()
		}
	}
	return f.fake.Start(ctx, r)
}

// newBirdBed is a bed whose batches have UUIDs.
func newBirdBed(t *testing.T, change func(*gateway.Options)) *bed {
	t.Helper()
	return newBed(t, func(o *gateway.Options) {
		o.Batches = birdIDs{o.Batches.(*fake)}
		if change != nil {
			change(o)
		}
	})
}

// bird calls as the tenant acme.
func (b *bed) bird(method, target, body string, headers ...string) reply {
	b.t.Helper()
	return b.call(method, target, body, append(headers, "Authorization: AccessKey "+acmeKey)...)
}

// birdText is a request with a text for each recipient.
func birdText(to ...string) string {
	items := make([]string, len(to))
	for i, s := range to {
		items[i] = fmt.Sprintf(`{"receiver":{"contacts":[{"identifierValue":%q}]},"body":{"type":"text","text":{"text":"hi"}},"reference":"r-%d"}`, s, i)
	}
	return `{"messageRequests":[` + strings.Join(items, ",") + `]}`
}

// birdBad has a message that is right and one without content.
const birdBad = `{"messageRequests":[
 {"receiver":{"contacts":[{"identifierValue":"+15550001111"}]},"body":{"type":"text","text":{"text":"hi"}}},
 {"receiver":{"contacts":[{"identifierValue":"+15550002222"}]}}]}`

func idsOf(doc map[string]any, key string) (ids []string) {
	for _, m := range doc[key].([]any) {
		ids = append(ids, m.(map[string]any)["id"].(string))
	}
	return ids
}

func TestABirdBatchIsAnsweredWithAnIDForEachMessage(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	r := b.bird("POST", birdSubmit, birdText("+15550001111", "+15550002222"), "Content-Type: application/json; charset=utf-8")
	doc := r.json(http.StatusAccepted)
	id := doc["id"].(string)
	require.Equal(t, id, r.Header().Get("Volley-Batch-Id"))
	key := message.KeyOf("batch-acme/" + id)
	require.Equal(t, []string{key.MessageID(0), key.MessageID(1)}, idsOf(doc, "messages"))
	require.Equal(t, map[string]string{"workspace": workspace, "channel": channel}, b.asked[0].Flags)
}

func TestWhatIsWrongWithABirdMessageIsSeenWhenItIsRetrieved(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	for _, body := range []string{birdBad, strings.ReplaceAll(birdBad, `"body"`, `"bodi"`)} {
		doc := b.bird("POST", birdSubmit, body).json(http.StatusAccepted)
		page := b.bird("GET", birdChannel+"/messages?status=rejected&batchId="+doc["id"].(string), "").json(http.StatusOK)
		rejected := page["results"].([]any)
		require.EqualValues(t, len(rejected), page["total"])
		m := rejected[len(rejected)-1].(map[string]any)
		require.Equal(t, idsOf(doc, "messages")[1], m["id"])
		require.EqualValues(t, 11002, m["failure"].(map[string]any)["code"])
		require.Equal(t, "+15550002222", m["receiver"].(map[string]any)["contacts"].([]any)[0].(map[string]any)["identifierValue"])
	}
}

func TestABirdMessageIsFoundInItsChannelAndItsWorkspace(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	id := idsOf(b.bird("POST", birdSubmit, birdText("+15550001111")).json(http.StatusAccepted), "messages")[0]
	for _, path := range []string{birdChannel, "/workspaces/" + workspace} {
		m := b.bird("GET", path+"/messages/"+id, "").json(http.StatusOK)
		require.Equal(t, id, m["id"])
		require.Equal(t, channel, m["channelId"])
		require.Equal(t, "sent", m["status"])
		require.Equal(t, "r-0", m["reference"])
		require.Equal(t, "hi", m["body"].(map[string]any)["text"].(map[string]any)["text"])
		require.Equal(t, "p-0", m["parts"].([]any)[0].(map[string]any)["platformReference"])
	}
	for _, path := range []string{
		"/workspaces/" + workspace + "/channels/" + elsewhere + "/messages/" + id, "/workspaces/" + elsewhere + "/messages/" + id,
		birdChannel + "/messages/" + elsewhere, birdChannel + "/messages/7",
	} {
		require.Equal(t, "NotFound", b.bird("GET", path, "").json(http.StatusNotFound)["code"], path)
	}
}

func TestABatchOfAnotherTenantOrDialectIsNotThereForBird(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	doc := b.bird("POST", birdSubmit, birdText("+15550001111")).json(http.StatusAccepted)
	id, other := doc["id"].(string), "Authorization: AccessKey "+otherKey
	for _, path := range []string{
		birdChannel + "/messages?batchId=" + id, birdChannel + "/messages/" + idsOf(doc, "messages")[0],
		"/workspaces/" + workspace + "/messages/" + idsOf(doc, "messages")[0],
	} {
		require.Equal(t, "NotFound", b.call("GET", path, "", other).json(http.StatusNotFound)["code"], path)
	}
	require.Empty(t, b.call("GET", birdChannel+"/messages", "", other).json(http.StatusOK)["results"])
	b.acme("POST", "/v1/batches?id=own", one).json(http.StatusAccepted)
	for _, id := range []string{"own", "nobody", "no%20id"} {
		require.Equal(t, "NotFound", b.bird("GET", birdChannel+"/messages?batchId="+id, "").json(http.StatusNotFound)["code"], id)
	}
}

func TestABirdListIsPaged(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	to := make([]string, 25)
	for i := range to {
		to[i] = fmt.Sprintf("+1555000%04d", i)
	}
	doc := b.bird("POST", birdSubmit, birdText(to...)).json(http.StatusAccepted)
	want := idsOf(doc, "messages")
	for _, query := range []string{"?batchId=" + doc["id"].(string), "?"} {
		for limit, pages := range map[string]int{"": 3, "&limit=7": 4, "&limit=5": 5, "&limit=500": 1} {
			var got []string
			seen, next := 0, ""
			for ; ; seen++ {
				page := b.bird("GET", birdChannel+"/messages"+query+limit+"&pageToken="+next, "").json(http.StatusOK)
				got = append(got, idsOf(page, "results")...)
				if page["nextPageToken"] == nil {
					break
				}
				next = page["nextPageToken"].(string)
			}
			require.Equal(t, want, got)
			require.Equal(t, pages, seen+1, query+limit)
		}
	}
}

func TestABirdListIsFiltered(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	doc := b.bird("POST", birdSubmit, birdBad).json(http.StatusAccepted)
	for query, want := range map[string]int{
		"": 2, "&status=sent": 1, "&status=rejected": 1, "&status=accepted": 0, "&status=processing": 0, "&direction=outgoing": 2, "&direction=incoming": 0,
		"&startAt=2026-11-27T09:00:00Z": 2, "&startAt=2026-11-27T09:00:01Z": 0, "&endAt=2026-11-27T09:00:00Z": 0, "&endAt=2026-11-27T10:00:01%2B01:00": 2,
		"&sort=unknown": 2,
	} {
		page := b.bird("GET", birdChannel+"/messages?batchId="+doc["id"].(string)+query, "").json(http.StatusOK)
		require.Len(t, page["results"], want, query)
		require.EqualValues(t, want, page["total"], query)
		page = b.bird("GET", birdChannel+"/messages?"+strings.TrimPrefix(query, "&"), "").json(http.StatusOK)
		require.Len(t, page["results"], want, query)
	}
	for _, query := range []string{"limit=0", "limit=x", "status=pending", "direction=up", "startAt=today", "endAt=1", "pageToken=!", "pageToken=e30x"} {
		failed := b.bird("GET", birdChannel+"/messages?"+query, "").json(http.StatusUnprocessableEntity)
		name, _, _ := strings.Cut(query, "=")
		require.Len(t, failed["details"].(map[string]any)[name], 1, query)
	}
}

func TestABirdChannelIsListedOverManyBatches(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, nil)
	var batches []message.Status
	for range 50 {
		doc := b.bird("POST", birdSubmit, birdText("+15550001111", "+15550002222", "+15550003333")).json(http.StatusAccepted)
		st, err := b.Status(t.Context(), starter.Ref{Tenant: "acme", ID: doc["id"].(string)})
		require.NoError(t, err)
		batches = append(batches, st, message.Status{ID: "elsewhere", Metadata: []byte(`{}`), CreatedAt: now})
	}
	b.list = func(q starter.ListQuery) (starter.Batches, error) {
		require.Equal(t, "acme", q.Tenant)
		require.Equal(t, "bird", q.Dialect)
		var from int
		_, _ = fmt.Sscan(q.Cursor, &from)
		out := starter.Batches{Batches: batches[from:min(from+q.Limit, len(batches))]}
		if from+q.Limit < len(batches) {
			out.Next = fmt.Sprint(from + q.Limit)
		}
		return out, nil
	}
	seen := map[string]bool{}
	next := ""
	for range 100 {
		page := b.bird("GET", birdChannel+"/messages?limit=100&pageToken="+next, "").json(http.StatusOK)
		for _, id := range idsOf(page, "results") {
			require.False(t, seen[id], "twice")
			seen[id] = true
		}
		if page["nextPageToken"] == nil {
			break
		}
		next = page["nextPageToken"].(string)
	}
	require.Len(t, seen, 150)
}

func TestARepeatedBirdBatchHasTheSameAnswer(t *testing.T) {
	t.Parallel()
	b := newBirdBed(t, func(o *gateway.Options) {
		o.Accounts = append(o.Accounts, provider.Account{Name: "bird-main", Provider: "bird", Workspace: workspace, Channel: elsewhere})
	})
	body := birdText("+15550001111", "+15550002222")
	first := b.bird("POST", birdSubmit, body, "Idempotency-Key: k1")
	again := b.bird("POST", birdSubmit, body, "Idempotency-Key: k1")
	first.json(http.StatusAccepted)
	require.Equal(t, first.Code, again.Code)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header(), again.Header())
	for target, changed := range map[string]string{
		birdSubmit: strings.Replace(body, "hi", "ho", 1),
		"/workspaces/" + workspace + "/channels/" + elsewhere + "/batch/messages": body,
	} {
		require.Equal(t, "Conflict", b.bird("POST", target, changed, "Idempotency-Key: k1").json(http.StatusConflict)["code"], target)
	}
	b.bird("POST", birdSubmit, body).json(http.StatusAccepted)
	require.Len(t, b.batches, 2)
}
