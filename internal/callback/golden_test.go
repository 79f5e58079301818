package callback_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/callback"
	"volley/internal/message"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func batchStatus(state message.BatchState) message.Status {
	st := message.Status{
		ID: "b-1", Dialect: "volley", Tenant: "acme", Account: "hook", State: state, Dispatch: "message", CreatedAt: noon,
		StartedAt: new(noon.Add(time.Second)), Total: 2, Counts: &message.Counts{message.Sent: 1, message.Failed: 1},
		Reasons:  message.Reasons{{State: message.Failed, Code: "http_400", Count: 1, Detail: "no such number"}},
		Metadata: json.RawMessage(`{"campaign":"<x>"}`), AsOf: noon.Add(time.Hour), Rev: 17,
	}
	if state.Closed() {
		st.FinishedAt = new(noon.Add(2 * time.Minute))
	}
	return st
}

func messageRow(state message.State, code, detail string) message.Row {
	key := message.KeyOf(message.WorkflowID("acme", "b-1"))
	return message.Row{
		Index: 1, ID: key.MessageID(1), Reference: new("c-1"), To: "+15550001111", Channel: "SMS", Account: "bird-main", State: state,
		DueAt: new(noon), ExpiresAt: new(noon.Add(time.Hour)), FinishedAt: new(noon.Add(time.Minute)),
		ProviderID: "p-1", Attempts: 1, Code: code, Detail: detail, Rev: 12,
	}
}

// sent is an event of a message that a provider took.
func sent() callback.Event {
	return callback.MessageEvent(batchStatus(message.BatchRunning), messageRow(message.Sent, "", ""))
}

func asked(body string) callback.Request {
	return callback.Request{Template: message.Template{Body: json.RawMessage(body)}}
}

const sinchBody = `{"app_id":"app-1","correlation_id":"corr-1","message_metadata":{"order":12345678901234567890,"a":"<b>"},
	"recipient":{"identified_by":{"channel_identities":[{"channel":"WHATSAPP","identity":"1555"},{"channel":"SMS","identity":"+1555"}]}}}`

// sinchSMS is a recipient on one channel only.
const sinchSMS = `{"app_id":"app-1","channel_priority_order":["WHATSAPP","SMS"],
	"recipient":{"identified_by":{"channel_identities":[{"channel":"SMS","identity":"+1555"}]}}}`

// messageOn is a row of a message that went to an identity; channel is the first of its
// hop's, and empty where its request named none.
func messageOn(channel, to string) message.Row {
	row := messageRow(message.Sent, "", "")
	row.Channel, row.To = channel, to
	return row
}

// numbered is a row of a message that is rejected for its recipient, which was not
// written as it is shown.
func numbered() message.Row {
	row := messageRow(message.Rejected, message.CodeRecipient, "looks like a date")
	row.Channel, row.To, row.Given = "SMS", "+1555", "1 (555)"
	return row
}

const birdBody = `{"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+15550001111"}]},
	"body":{"type":"text","text":{"text":"Hi"}},"tags":["a"],"validity":60}`

func TestBodiesAreAsTheirFormatsHaveThem(t *testing.T) {
	t.Parallel()
	many := []message.Row{messageRow(message.Sent, "", ""), messageRow(message.Failed, "http_400", "no such number")}
	message1 := func(body string, row message.Row) callback.Event {
		e := callback.MessageEvent(batchStatus(message.BatchRunning), row)
		e.Request = asked(body)
		return e
	}
	birds := func(row message.Row) callback.Event {
		e := callback.MessageEvent(batchStatus(message.BatchRunning), row)
		e.Batch.Dialect = "bird"
		e.Request.Message.Body = json.RawMessage(birdBody)
		return e
	}
	batch := func(body string, state message.BatchState) callback.Event {
		e := callback.BatchEvent(batchStatus(state), callback.TypeOf(message.BatchRunning, state), 1)
		e.Request = asked(body)
		return e
	}
	for name, c := range map[string]struct {
		format string
		event  callback.Event
	}{
		"volley.batch":    {"volley", batch("", message.BatchCompleted)},
		"volley.started":  {"volley", callback.BatchEvent(batchStatus(message.BatchRunning), callback.TypeStarted, 0)},
		"volley.message":  {"volley", sent()},
		"volley.messages": {"volley", callback.MessagesEvent(batchStatus(message.BatchRunning), many)},
		"sinch.batch":     {"sinch", batch(sinchBody, message.BatchCanceled)},
		"sinch.queued":    {"sinch", message1(sinchBody, messageRow(message.Sent, "", ""))},
		"sinch.delivered": {"sinch", message1(`{"app_id":"app-1","recipient":{"contact_id":"contact-1"}}`, messageRow(message.Delivered, "", ""))},
		"sinch.failed":    {"sinch", message1(sinchBody, messageRow(message.Expired, "expired", "too late"))},
		"sinch.unordered": {"sinch", message1(sinchBody, messageOn("", "1555"))},
		"sinch.number":    {"sinch", message1(sinchSMS, numbered())},
		"sinch.merged":    {"sinch", message1(sinchSMS, messageOn("WHATSAPP", "+1555"))},
		"bird.sent":       {"bird", birds(messageRow(message.Sent, "", ""))},
		"bird.other":      {"bird", message1(`{"text":"Hi"}`, messageRow(message.Canceled, "canceled", "enough"))},
		"bird.rejected":   {"bird", birds(messageRow(message.Rejected, "required", "body is missing"))},
		"bird.failed":     {"bird", birds(messageRow(message.Undelivered, "15005", "unknown subscriber"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, all := endpoint(t, status(http.StatusOK))
			require.Nil(t, poster(t, secret, true).Post(t.Context(), "acme", to(srv.URL, c.format), c.event))
			require.True(t, json.Valid(all()[0].body))
			var pretty bytes.Buffer
			require.NoError(t, json.Indent(&pretty, all()[0].body, "", "  "))
			pretty.WriteByte('\n')
			file := filepath.Join("testdata", name+".json.golden")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, pretty.Bytes(), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), pretty.String())
		})
	}
}
