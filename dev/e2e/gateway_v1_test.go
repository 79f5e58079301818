package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

// ownBody is a batch in Volley's own format through an account.
func ownBody(t *testing.T, account string, all []note) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"account": account, "text": "Hi ${name}", "messages": all, "metadata": map[string]string{"campaign": t.Name()}})
	require.NoError(t, err)
	return string(body)
}

// lines reads an answer as JSON lines.
func lines[T any](r reply) (all []T) {
	r.t.Helper()
	for dec := json.NewDecoder(strings.NewReader(r.is(http.StatusOK).body)); dec.More(); {
		var v T
		require.NoError(r.t, dec.Decode(&v))
		all = append(all, v)
	}
	return all
}

func TestAllThatCanBeAskedOfABatchOverHTTP(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	all := notes(t, 6)
	all[1].To += "+reject"
	all[2].Params = nil
	all[3].Reference = "r-3"
	r := g.as(acme, "POST", "/v1/batches", ownBody(t, "hook", all))
	started := read[starter.Started](r, http.StatusAccepted)
	require.Equal(t, 6, started.Total)
	require.Equal(t, 1, started.Rejected)
	require.Equal(t, "messages[2].params.name", started.Problems[0].Path)
	at := "/v1/batches/" + r.batch()
	require.Equal(t, at, r.header.Get("Location"))
	status, rows := l.wait(t, ofAcme(r.batch()))
	l.agree(t, rows)

	st := read[message.Status](g.as(acme, "GET", at, ""), http.StatusOK)
	require.Equal(t, message.BatchCompleted, st.State)
	require.Equal(t, *status.Counts, *st.Counts)

	var paged []message.Row
	for cursor := ""; ; {
		page := read[message.Page](g.as(acme, "GET", at+"/messages?limit=4&cursor="+cursor, ""), http.StatusOK)
		paged = append(paged, page.Messages...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	slices.SortFunc(paged, func(a, b message.Row) int { return a.Index - b.Index })
	require.Equal(t, ids(rows), ids(paged))
	failed := read[message.Page](g.as(acme, "GET", at+"/messages?state=failed", ""), http.StatusOK)
	require.Equal(t, []string{rows[1].ID}, ids(failed.Messages))
	for _, name := range []string{"3", rows[3].ID} {
		row := read[message.Row](g.as(acme, "GET", at+"/messages/"+name, ""), http.StatusOK)
		require.Equal(t, "r-3", *row.Reference)
		require.Equal(t, message.EventSent, row.Trail[0].Event)
	}
	g.as(acme, "GET", at+"/messages/17", "").is(http.StatusNotFound)

	require.ElementsMatch(t, ids(rows), ids(lines[message.Row](g.as(acme, "GET", at+"/results", ""))))
	require.Len(t, lines[message.Row](g.as(acme, "GET", at+"/results?state=sent", "")), 4)
	csv := g.as(acme, "GET", at+"/results?format=csv", "").is(http.StatusOK)
	require.Equal(t, 7, strings.Count(csv.body, "\n"))
	require.Eventually(t, func() bool { // the index lags
		list := read[starter.Batches](g.as(acme, "GET", "/v1/batches?meta=campaign%3D"+t.Name(), ""), http.StatusOK)
		return len(list.Batches) == 1 && list.Batches[0].ID == r.batch()
	}, time.Minute, 100*time.Millisecond)

	canceled := read[message.CancelResult](g.as(acme, "POST", at+":cancel", ""), http.StatusOK)
	require.Equal(t, message.CancelCounts{Sent: 4, Ended: 2}, canceled.Counts)
	require.Contains(t, g.as(acme, "POST", at+":pause", "").is(http.StatusConflict).body, `"code":"ended"`)

	again := read[starter.Started](g.as(acme, "POST", at+":redrive", `{"states":["failed"]}`), http.StatusAccepted)
	require.Equal(t, 1, again.Total)
	require.Equal(t, r.batch(), again.RedriveOf)
	require.Equal(t, again.ID, read[starter.Started](g.as(acme, "POST", at+":redrive", `{"states":["failed"]}`), http.StatusOK).ID)
	_, rows = l.wait(t, ofAcme(again.ID))
	require.Equal(t, all[1].To, rows[0].To)
}

// ids are those of rows, in their order.
func ids(rows []message.Row) (all []string) {
	for _, r := range rows {
		all = append(all, r.ID)
	}
	return all
}

func TestARunningBatchIsPausedMovedAndCanceledOverHTTP(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	r := g.as(acme, "POST", "/v1/batches", ownBody(t, "idle", notes(t, 8)))
	r.is(http.StatusAccepted)
	at := "/v1/batches/" + r.batch()
	sending := func(s message.Status) bool { return s.Counts[message.Sending] == 8 }
	l.until(t, ofAcme(r.batch()), sending)

	paused := read[message.PauseResult](g.as(acme, "POST", at+":pause", ""), http.StatusOK)
	require.Empty(t, paused.InFlight)
	require.Equal(t, message.BatchPaused, read[message.Status](g.as(acme, "GET", at, ""), http.StatusOK).State, "a control is seen at once")
	moved := read[message.RescheduleResult](g.as(acme, "POST", at+":reschedule", `{"sendAfter":"1h"}`), http.StatusOK)
	require.Equal(t, 8, moved.Rescheduled)
	g.as(acme, "POST", at+":reschedule", `{"sendAfter":"soon"}`).is(http.StatusUnprocessableEntity)
	g.as(acme, "POST", at+":reschedule", `{"sendAfter":"0s"}`).is(http.StatusOK)
	require.Equal(t, r.batch(), read[message.ResumeResult](g.as(acme, "POST", at+":resume", ""), http.StatusOK).Batch)
	l.until(t, ofAcme(r.batch()), sending)

	key := message.KeyOf(starter.WorkflowID(ofAcme(r.batch())))
	one := read[message.CancelResult](g.as(acme, "POST", at+":cancel", fmt.Sprintf(`{"messages":[%q],"reason":"not needed"}`, key.MessageID(3))), http.StatusOK)
	require.Equal(t, []string{key.MessageID(3)}, one.Canceled)
	all := read[message.CancelResult](g.as(acme, "POST", at+":cancel", ""), http.StatusOK)
	require.Equal(t, message.CancelCounts{Canceled: 7, Ended: 1}, all.Counts)
	status, rows := l.wait(t, ofAcme(r.batch()))
	require.Equal(t, message.BatchCanceled, status.State)
	l.agree(t, rows)
}

func TestABatchOfAnotherTenantIsNowhere(t *testing.T) {
	t.Parallel()
	l, g := shared, front(t)
	own := g.as(acme, "POST", "/v1/batches", ownBody(t, "hook", notes(t, 1))).is(http.StatusAccepted).batch()
	bird := g.bird("POST", birdSubmit, birdBody(t, 1, 1))
	message := read[birdAccepted](bird, http.StatusAccepted).Messages[0].ID
	imkit := g.imkit("POST", imkitBatch, fmt.Sprintf(`{"messageType":"text","message":"Hi","paras":[{"receiver":%q}]}`, to(t, 2, ""))).is(http.StatusOK).batch()
	sinch := g.as(acme, "POST", sinchMessages, sinchBody(t, to(t, 0, ""), "")).is(http.StatusOK).batch()
	for _, id := range []string{own, bird.batch(), imkit, sinch} {
		l.wait(t, ofAcme(id))
		at := "/v1/batches/" + id
		for _, path := range []string{"", "/messages", "/messages/0", "/results", "/events"} {
			g.as(acme, "GET", at+path, "").is(http.StatusOK)
			g.as(other, "GET", at+path, "").is(http.StatusNotFound)
		}
		for _, action := range []string{"cancel", "pause", "resume", "redrive"} {
			g.as(other, "POST", at+":"+action, "").is(http.StatusNotFound)
		}
		g.as(other, "POST", at+":reschedule", `{"sendAfter":"1h"}`).is(http.StatusNotFound)
	}
	stranger := "Authorization: AccessKey " + other
	for _, path := range []string{birdChannel + "/messages?batchId=" + bird.batch(), birdChannel + "/messages/" + message, "/workspaces/" + workspace + "/messages/" + message} {
		g.bird("GET", path, "").is(http.StatusOK)
		g.call("GET", path, "", stranger).is(http.StatusNotFound)
	}
	g.imkit("GET", imkitBatch+"?batchID="+imkit, "").is(http.StatusOK)
	g.call("GET", imkitBatch+"?batchID="+imkit, "", "IM-API-KEY: "+other).is(http.StatusNotFound)
	g.as(acme, "GET", sinchMessages+"/"+sinch, "").is(http.StatusOK)
	g.as(other, "GET", sinchMessages+"/"+sinch, "").is(http.StatusNotFound)
	require.Equal(t, 5, l.arrived(t))
}
