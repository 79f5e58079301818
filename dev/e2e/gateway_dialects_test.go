package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// to names a recipient of the test's own.
func to(t *testing.T, i int, steer string) string {
	return fmt.Sprintf("%s-%d%s", strings.ReplaceAll(t.Name(), "/", "."), i, steer)
}

// birdBody is a batch of texts in Bird's format, to recipients of the test's own
// from a number on.
func birdBody(t *testing.T, from, n int) string {
	var items []string
	for i := from; i < from+n; i++ {
		items = append(items, birdItem(to(t, i, ""), fmt.Sprintf(`{"type":"text","text":{"text":"parcel %d"}}`, i)))
	}
	return `{"messageRequests":[` + strings.Join(items, ",") + `]}`
}

// birdItem is a message to a contact; one that begins with + is a phone number.
func birdItem(to, body string) string {
	key := "externalid"
	if strings.HasPrefix(to, "+") {
		key = "phonenumber"
	}
	return fmt.Sprintf(`{"receiver":{"contacts":[{"identifierKey":%q,"identifierValue":%q}]},"body":%s}`, key, to, body)
}

type birdAccepted struct {
	ID       string
	Messages []struct{ ID string }
}

type birdMessage struct{ ID, Status, ChannelID string }

type birdPage struct {
	Results       []birdMessage
	Total         int
	NextPageToken string
}

// ofAcme is a batch of the tenant that all tests share.
func ofAcme(id string) starter.Ref { return starter.Ref{Tenant: acme, ID: id} }

func TestABirdBatchCanBeRetrievedByItsIDAndByItsMessages(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	body := `{"messageRequests":[` + strings.Join([]string{
		birdItem(to(t, 0, ""), `{"type":"text","text":{"text":"hi"}}`),
		birdItem("+1 (555) 010-9901", `{"type":"text","text":{"text":"hi"}}`),
		birdItem(to(t, 2, ""), `{"type":"text","text":{"text":""}}`),
	}, ",") + `]}`
	r := g.bird("POST", birdSubmit, body)
	accepted := read[birdAccepted](r, http.StatusAccepted)
	require.Equal(t, r.batch(), accepted.ID)
	require.Len(t, accepted.Messages, 3)
	_, rows := l.wait(t, ofAcme(accepted.ID))
	l.agree(t, rows)

	page := read[birdPage](g.bird("GET", birdChannel+"/messages?batchId="+accepted.ID, ""), http.StatusOK)
	require.Equal(t, 3, page.Total)
	for i, want := range []string{"sent", "sending_failed", "rejected"} {
		id := accepted.Messages[i].ID
		require.Equal(t, birdMessage{ID: id, Status: want, ChannelID: channel}, page.Results[i])
		require.Equal(t, page.Results[i], read[birdMessage](g.bird("GET", birdChannel+"/messages/"+id, ""), http.StatusOK))
		require.Equal(t, page.Results[i], read[birdMessage](g.bird("GET", "/workspaces/"+workspace+"/messages/"+id, ""), http.StatusOK))
	}
	first := read[birdPage](g.bird("GET", birdChannel+"/messages?limit=2&batchId="+accepted.ID, ""), http.StatusOK)
	require.Len(t, first.Results, 2)
	rest := read[birdPage](g.bird("GET", birdChannel+"/messages?limit=2&batchId="+accepted.ID+"&pageToken="+url.QueryEscape(first.NextPageToken), ""), http.StatusOK)
	require.Equal(t, page.Results[2:], rest.Results)

	st := read[message.Status](g.as(acme, "GET", "/v1/batches/"+accepted.ID, ""), http.StatusOK)
	require.Equal(t, "bird", st.Dialect)
	require.Equal(t, message.Counts{message.Sent: 1, message.Failed: 1, message.Rejected: 1}, *st.Counts)
}

func sinchBody(t *testing.T, campaign, fields string) string {
	return fmt.Sprintf(`{"app_id":%q,%s"message":{"text_message":{"text":"Hi ${name}"}},"channel_priority_order":["MESSENGER"],
		"batch_metadata":{"campaign":%q},"recipient_and_params":[
		{"recipient":{"identified_by":{"channel_identities":[{"channel":"MESSENGER","identity":%q}]}},"parameters":{"name":"Ann"}},
		{"recipient":{"identified_by":{"channel_identities":[{"channel":"MESSENGER","identity":%q}]}},"parameters":{"name":"Bob"}}]}`,
		sinchApp, fields, campaign, to(t, 0, ""), to(t, 1, ""))
}

type sinchBatch struct {
	BatchID   string            `json:"batch_id"`
	Status    string            `json:"status"`
	SendAfter string            `json:"send_after"`
	MetaData  map[string]string `json:"meta_data"`
}

func TestSinchBatchesAreShownListedAndCanceled(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	campaign := to(t, 0, "")
	get := func(id string) sinchBatch {
		return read[sinchBatch](g.as(acme, "GET", sinchMessages+"/"+id, ""), http.StatusOK)
	}
	r := g.as(acme, "POST", sinchMessages, sinchBody(t, campaign, ""))
	sent := read[sinchBatch](r, http.StatusOK)
	require.Equal(t, r.batch(), sent.BatchID)
	require.Len(t, sent.BatchID, 26)
	_, rows := l.wait(t, ofAcme(sent.BatchID))
	l.agree(t, rows)
	require.Equal(t, "PROCESSED", get(sent.BatchID).Status)

	later := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Hour).Format(time.RFC3339)
	waits := read[sinchBatch](g.as(acme, "POST", sinchMessages, sinchBody(t, campaign, fmt.Sprintf(`"send_after":%q,`, later))), http.StatusOK)
	require.Equal(t, later, waits.SendAfter)
	require.Equal(t, sinchBatch{
		BatchID: waits.BatchID, Status: "SCHEDULED", SendAfter: later, MetaData: map[string]string{"campaign": campaign, "_batch_id": waits.BatchID},
	}, get(waits.BatchID))

	list := sinchMessages + "?metadataKey=campaign&metadataValue=" + url.QueryEscape(campaign)
	require.Eventually(t, func() bool { // the index lags
		return len(read[[]sinchBatch](g.as(acme, "GET", list, ""), http.StatusOK)) == 2
	}, time.Minute, 100*time.Millisecond)
	require.Empty(t, read[[]sinchBatch](g.as(other, "GET", list, ""), http.StatusOK))

	// Of the two that are named only the one goes that has not begun.
	named := fmt.Sprintf(`{"metadata_key":"campaign","metadata_value":%q}`, campaign)
	require.Equal(t, "{}\n", g.as(acme, "DELETE", sinchMessages, named).is(http.StatusOK).body)
	status, rows := l.wait(t, ofAcme(waits.BatchID))
	require.Equal(t, message.BatchCanceled, status.State)
	l.agree(t, rows)
	require.Eventually(t, func() bool { return get(waits.BatchID).Status == "CANCELLED" }, time.Minute, 100*time.Millisecond)
	require.Equal(t, "PROCESSED", get(sent.BatchID).Status)
	require.Equal(t, "{}\n", g.as(acme, "DELETE", sinchMessages, fmt.Sprintf(`{"batch_id":%q}`, waits.BatchID)).is(http.StatusOK).body)
}

func TestAnIMKITBatchShowsWhatWasSent(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	type answer struct {
		RC     int
		Result struct {
			BatchID string
			Count   int
			Data    []struct {
				ID                string `json:"_id"`
				Receiver, BatchID string
			}
		}
	}
	body := fmt.Sprintf(`{"messageType":"text","message":"Hi $name$","paras":[
		{"receiver":%q,"$name$":"Ann"},{"receiver":%q,"$name$":"Bob"},{"receiver":%q,"$name$":"Cleo"}]}`,
		to(t, 0, ""), to(t, 1, "+reject"), to(t, 2, "+limit"))
	r := g.imkit("POST", imkitBatch, body)
	accepted := read[answer](r, http.StatusOK)
	require.Equal(t, r.batch(), accepted.Result.BatchID)
	require.Equal(t, 3, accepted.Result.Count)
	_, rows := l.wait(t, ofAcme(r.batch()))
	l.agree(t, rows)

	shown := read[answer](g.imkit("GET", imkitBatch+"?batchID="+r.batch(), ""), http.StatusOK)
	require.Zero(t, shown.RC)
	require.Equal(t, 2, shown.Result.Count)
	receivers := map[string]string{}
	for _, m := range shown.Result.Data {
		require.Equal(t, r.batch(), m.BatchID)
		receivers[m.ID] = m.Receiver
	}
	want := map[string]string{rows[0].ID: to(t, 0, ""), rows[2].ID: to(t, 2, "+limit")}
	if mode != "" { // of a large batch the paras are not at hand
		want = map[string]string{rows[0].ID: "", rows[2].ID: ""}
	}
	require.Equal(t, want, receivers)
}

func TestBlueskyAnswersWithViewsOfWhatWasSent(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	type view struct {
		Type     string `json:"$type"`
		ID, Text string
	}
	item := func(i int, steer string) string {
		return fmt.Sprintf(`{"convoId":%q,"message":{"text":"Hello %d"}}`, to(t, i, steer), i)
	}
	r := g.as(acme, "POST", blueskyBatch, `{"items":[`+item(0, "")+","+item(1, "+flaky")+`]}`)
	views := read[struct{ Items []view }](r, http.StatusOK).Items
	_, rows := l.wait(t, ofAcme(r.batch()))
	require.Len(t, views, 2)
	for i, v := range views {
		require.Equal(t, view{"chat.bsky.convo.defs#messageView", rows[i].ProviderID, fmt.Sprintf("Hello %d", i)}, v)
	}
	one := read[view](g.as(acme, "POST", "/xrpc/chat.bsky.convo.sendMessage", item(2, "")), http.StatusOK)
	require.Equal(t, "Hello 2", one.Text)

	r = g.as(acme, "POST", blueskyBatch, `{"items":[`+item(3, "")+","+item(4, "+reject")+`]}`)
	fault := read[struct{ Error, Message string }](r, r.status)
	require.NotEqual(t, http.StatusOK, r.status)
	require.Contains(t, fault.Message, "item 1 of batch "+r.batch())
	require.Contains(t, fault.Message, "sent: 0; not sent: 1 failed")
	require.Equal(t, 4, l.arrived(t))
}

// As much metadata as the dialect takes leaves as it was written, characters included
// that Go escapes on the way through Temporal.
func TestSinchMetadataArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	metadata := `{"k":"` + strings.Repeat("<&>\u2028", (832-len(`{"k":""}`))/4) + `"}`
	r := g.as(acme, "POST", sinchMessages, sinchBody(t, t.Name(), `"message_metadata":`+metadata+`,"conversation_metadata":`+metadata+`,`))
	_, rows := l.wait(t, ofAcme(read[sinchBatch](r, http.StatusOK).BatchID))
	arrived := 0
	for _, record := range l.sandbox.Received() {
		for _, row := range rows {
			if record.ID != row.ID {
				continue
			}
			arrived++
			require.Contains(t, string(record.Content), metadata[1:len(metadata)-1])
			require.Contains(t, string(record.Content), strings.ReplaceAll(metadata[1:len(metadata)-1], `"`, `\"`))
		}
	}
	require.Equal(t, 2, arrived)
}
