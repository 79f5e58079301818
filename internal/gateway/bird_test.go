package gateway_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// Paths of the account that every test environment has.
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

// newBirdEnv is a testEnv whose batches have UUIDs.
func newBirdEnv(t *testing.T, change func(*gateway.Options)) *testEnv {
	t.Helper()
	return newEnv(t, func(o *gateway.Options) {
		o.Batches = birdIDs{o.Batches.(*fake)}
		if change != nil {
			change(o)
		}
	})
}

// bird calls as the tenant acme.
func (b *testEnv) bird(method, target, body string, headers ...string) reply {
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
	b := newBirdEnv(t, nil)
	r := b.bird("POST", birdSubmit, birdText("+15550001111", "+15550002222"), "Content-Type: application/json; charset=utf-8")
	doc := r.json(http.StatusAccepted)
	id := doc["id"].(string)
	require.Equal(t, id, r.Header().Get("Volley-Batch-Id"))
	key := message.KeyOf("batch-acme/" + id)
	require.Equal(t, []string{key.MessageID(0), key.MessageID(1)}, idsOf(doc, "messages"))
	require.Equal(t, map[string]string{"workspace": workspace, "channel": channel}, b.requests[0].Flags)
}

func TestWhatIsWrongWithABirdMessageIsSeenWhenItIsRetrieved(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
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
	b := newBirdEnv(t, nil)
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
	b := newBirdEnv(t, nil)
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

// numbers are phone numbers.
func numbers(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("+1555000%04d", i)
	}
	return to
}

func TestABirdListIsPaged(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	doc := b.bird("POST", birdSubmit, birdText(numbers(25)...)).json(http.StatusAccepted)
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
	b := newBirdEnv(t, nil)
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
	b := newBirdEnv(t, nil)
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

// In a batch too large for one workflow the rows come in the order of their due times.
func TestABirdBatchIsListedInTheOrderOfTheRequest(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	to := numbers(25)
	doc := b.bird("POST", birdSubmit, birdText(to...)).json(http.StatusAccepted)
	key := message.KeyOf(starter.WorkflowID(starter.Ref{Tenant: "acme", ID: doc["id"].(string)}))
	b.rows = func(starter.Ref) []message.Row {
		var rows []message.Row
		for i := range to {
			at := (i*7 + 11) % len(to)
			rows = append(rows, message.Row{Index: at, ID: key.MessageID(at), To: to[at], State: message.Sent, DueAt: new(now), Rev: 1})
		}
		return rows
	}
	for _, query := range []string{"?batchId=" + doc["id"].(string), "?"} {
		require.Equal(t, idsOf(doc, "messages"), b.birdPages(query+"&limit=4", nil), query)
	}
}

// birdPages reads a list to its end. Between two pages it calls then.
func (b *testEnv) birdPages(query string, then func()) (ids []string) {
	b.t.Helper()
	next := ""
	for range 200 {
		page := b.bird("GET", birdChannel+"/messages"+query+"&pageToken="+next, "").json(http.StatusOK)
		ids = append(ids, idsOf(page, "results")...)
		if page["nextPageToken"] == nil {
			return ids
		}
		next = page["nextPageToken"].(string)
		if then != nil {
			then()
		}
	}
	b.t.Fatal("the list does not end")
	return nil
}

// Batches end, are deleted and come in while somebody reads the list of a channel.
func TestABirdChannelIsListedWhileItsBatchesMove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(list []message.Status) []message.Status
		gone   bool // the first batch's last message is
		once   bool
	}{
		"as it is":           {func(list []message.Status) []message.Status { return list }, false, true},
		"the first is gone":  {func(list []message.Status) []message.Status { return list[1:] }, true, true},
		"the first moves":    {func(list []message.Status) []message.Status { return append(slices.Clone(list[1:]), list[0]) }, false, false},
		"more come at front": {func(list []message.Status) []message.Status { return append(newcomers(30), list...) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBirdEnv(t, nil)
			var list []message.Status
			want := map[string]int{}
			for i := range 25 {
				doc := b.bird("POST", birdSubmit, birdText("+15550001111", "+15550002222", "+15550003333")).json(http.StatusAccepted)
				st, err := b.Status(t.Context(), starter.Ref{Tenant: "acme", ID: doc["id"].(string)})
				require.NoError(t, err)
				list = append(list, st)
				ids := idsOf(doc, "messages")
				if c.gone && i == 0 {
					ids = ids[:2]
				}
				for _, id := range ids {
					want[id] = 1
				}
			}
			// A page begins behind the last batch of the one before.
			b.list = func(q starter.ListQuery) (starter.Batches, error) {
				from := slices.IndexFunc(list, func(st message.Status) bool { return st.ID == q.Cursor }) + 1
				out := starter.Batches{Batches: list[from:min(from+q.Limit, len(list))]}
				if from+q.Limit < len(list) {
					out.Next = list[from+q.Limit-1].ID
				}
				return out, nil
			}
			changed := false
			got := map[string]int{}
			for _, id := range b.birdPages("?limit=2", func() {
				if !changed {
					changed, list = true, c.change(list)
				}
			}) {
				got[id]++
				if !c.once {
					got[id] = 1
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// newcomers are batches that came in an hour after now.
func newcomers(n int) (all []message.Status) {
	for i := range n {
		all = append(all, message.Status{
			ID: fmt.Sprint("newcomer-", i), Dialect: "bird", CreatedAt: now.Add(time.Hour),
			Metadata: fmt.Appendf(nil, `{"workspaceId":%q,"channelId":%q}`, workspace, channel),
		})
	}
	return all
}

func TestABirdBatchOfWhichNothingIsLeftIsNotThere(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	doc := b.bird("POST", birdSubmit, birdText("+15550001111")).json(http.StatusAccepted)
	left := b.bird("POST", birdSubmit, birdText("+15550002222")).json(http.StatusAccepted)
	var list []message.Status
	for _, d := range []map[string]any{doc, left} {
		st, err := b.Status(t.Context(), starter.Ref{Tenant: "acme", ID: d["id"].(string)})
		require.NoError(t, err)
		list = append(list, st)
	}
	b.list = func(starter.ListQuery) (starter.Batches, error) { return starter.Batches{Batches: list}, nil }
	delete(b.batches, starter.Ref{Tenant: "acme", ID: doc["id"].(string)})
	b.bird("GET", birdChannel+"/messages?batchId="+doc["id"].(string), "").json(http.StatusNotFound)
	require.Equal(t, idsOf(left, "messages"), idsOf(b.bird("GET", birdChannel+"/messages", "").json(http.StatusOK), "results"))
}

func TestABirdPageTokenWithAMadeUpCursorIsRefused(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, nil)
	b.list = func(q starter.ListQuery) (starter.Batches, error) {
		return starter.Batches{}, fmt.Errorf("cursor %q: %w", q.Cursor, starter.ErrInvalid)
	}
	made := func(token string) string { return base64.RawURLEncoding.EncodeToString([]byte(token)) }
	for _, token := range []string{`{"c":"x"}`, `{"i":-1}`, `{"d":"AAAA"}`} {
		failed := b.bird("GET", birdChannel+"/messages?pageToken="+made(token), "").json(http.StatusUnprocessableEntity)
		require.Equal(t, map[string]any{"pageToken": []any{"is none that a page gave"}}, failed["details"], token)
	}
	// A failure that knows no place has details, too.
	failed := b.bird("GET", birdChannel+"/messages", "").json(http.StatusUnprocessableEntity)
	require.Equal(t, map[string]any{"": []any{failed["message"]}}, failed["details"])
}

func TestARepeatedBirdBatchHasTheSameAnswer(t *testing.T) {
	t.Parallel()
	b := newBirdEnv(t, func(o *gateway.Options) {
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
