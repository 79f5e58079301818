package dialect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// encodedAt is when the batches of these tests were accepted.
var encodedAt = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// encodedCase is one answer in a golden file.
type encodedCase struct {
	name string
	json json.RawMessage
}

// sameAnswers compares answers with a golden file, in which each stands under its
// name.
func sameAnswers(t *testing.T, file string, cases []encodedCase) {
	t.Helper()
	var got bytes.Buffer
	for _, c := range cases {
		require.True(t, json.Valid(c.json), "%s: %s", c.name, c.json)
		got.WriteString("# " + c.name + "\n")
		require.NoError(t, json.Indent(&got, c.json, "", "  "))
		got.WriteString("\n")
	}
	path := filepath.Join("testdata", "answers", file+".golden")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), got.String())
}

// acceptedBatch decodes a request as it is accepted.
func acceptedBatch(t *testing.T, name, body string, metadata json.RawMessage) *message.Batch {
	t.Helper()
	d, err := dialect.Named(name)
	require.NoError(t, err)
	b, problems := d.Decode([]byte(body), dialect.Options{Now: encodedAt, Metadata: metadata})
	require.Empty(t, problems)
	b.ID = "70cc4cfa-0756-4ca7-8566-c8a83ee92af3"
	return b
}

// rowAt is a row of a batch with what is not the same for all states.
func rowAt(b *message.Batch, i int, r message.Record) *message.Row {
	r.Due = b.DueAt(&b.Messages[i])
	row := b.RowOf(message.KeyOf("batch-"+b.ID), i, &b.Messages[i], &r)
	if r.Attempts > 0 {
		row.Account = "bird-main"
	}
	return &row
}

const birdAccepted = `{"messageRequests":[
  {"receiver":{"contacts":[{"identifierKey":"phonenumber","identifierValue":"+15550001111"}]},
   "body":{"type":"text","text":{"text":"1 < 2 & \u00e9"}},"reference":"r-1","validity":60,"tags":["b","a"]},
  {"receiver":{"contacts":[{"identifierValue":"a@example.com","type":"to"}]},
   "template":{"projectId":"p","version":"v","locale":"en"},"scheduledFor":"2026-11-27T10:00:00.5+01:00"},
  {"receiver":{"contacts":[{"identifierValue":"+15550003333"}]},"reference":"r-3"},
  {"receiver":{"contacts":[]},"body":{"type":"text","text":{"text":"to nobody"}}}
]}`

func TestABirdMessageIsShownAsItWasAcceptedWithWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	at := dialect.BirdChannel{Workspace: "11111111-2222-4333-8444-555555555555", Channel: "66666666-7777-4888-8999-000000000000"}
	b := acceptedBatch(t, "bird", birdAccepted, at.Metadata())
	ms := encodedAt.UnixMilli()
	ended := func(s message.State, code, detail string, attempts int) message.Record {
		return message.Record{State: s, Code: code, Detail: detail, Attempts: attempts, Finished: ms + 5000}
	}
	unroutable := ended(message.Rejected, message.CodeUnroutable, "no account was named and no route matches dialect bird", 0)
	large := *b
	large.Messages = nil
	var cases []encodedCase
	for _, c := range []struct {
		name string
		i    int
		r    message.Record
	}{
		{"scheduled", 1, message.Record{State: message.Scheduled}},
		{"accepted, due later than it was accepted", 1, message.Record{State: message.Accepted}},
		{"retrying", 0, message.Record{State: message.Retrying, Attempts: 1, Code: "http_503", Detail: "try again"}},
		{"sent", 0, message.Record{State: message.Sent, Attempts: 1, Sent: ms + 1234, Finished: ms + 1234, ProviderID: "p-1"}},
		{"delivered", 0, message.Record{State: message.Delivered, Attempts: 1, Sent: ms + 1234, Finished: ms + 9000, ProviderID: "p-1"}},
		{"undelivered, with a code of Bird's", 0, message.Record{State: message.Undelivered, Attempts: 1, Sent: ms + 1234, Finished: ms + 9000, ProviderID: "p-1", Code: "15005", Detail: "unknown subscriber"}},
		{"undelivered", 0, message.Record{State: message.Undelivered, Attempts: 1, Sent: ms + 1234, Finished: ms + 9000, ProviderID: "p-1", Code: "gone", Detail: "no such number"}},
		{"rejected for its content", 2, ended(message.Rejected, message.CodeRequired, "messageRequests[2].body: is required", 0)},
		{"rejected without a recipient", 3, ended(message.Rejected, message.CodeTooFew, "messageRequests[3].receiver.contacts: at least one", 0)},
		{"rejected without a way", 0, unroutable},
		{"failed", 0, ended(message.Failed, "InvalidPayload", "the number is not valid", 2)},
		{"failed for content that the account cannot carry", 0, ended(message.Failed, "unsupported_content", "a template stays at Bird", 1)},
		{"failed for a recipient that the account cannot reach", 0, ended(message.Failed, "unsupported_recipient", "no room", 1)},
		{"expired", 0, ended(message.Expired, "expired", "its validity ran out", 0)},
		{"canceled", 0, ended(message.Canceled, "canceled", "by the caller", 0)},
		{"unknown", 0, ended(message.Unknown, "timeout", "nobody knows", 1)},
	} {
		cases = append(cases, encodedCase{c.name, dialect.BirdMessage(b, rowAt(b, c.i, c.r))})
	}
	cases = append(cases, encodedCase{"of a large batch", dialect.BirdMessage(&large, rowAt(b, 0, message.Record{State: message.Sent, Sent: ms}))})
	sameAnswers(t, "bird-messages", cases)
}

func TestBirdPagesAndBatches(t *testing.T) {
	t.Parallel()
	sameAnswers(t, "bird-answers", []encodedCase{
		{"an accepted batch", dialect.BirdBatch("70cc4cfa-0756-4ca7-8566-c8a83ee92af3", []string{"71d1c562-c8c8-4f03-89ff-2ed0026ea1ea", "e75e3dd7-9429-4d9b-a006-c2eba19a1baa"})},
		{"a page", dialect.BirdPage([]json.RawMessage{[]byte(`{"id":"1"}`)}, "next", 2)},
		{"an empty page of which the total is not known", dialect.BirdPage(nil, "", -1)},
	})
}

func TestEveryStateHasAStatusOfBirds(t *testing.T) {
	t.Parallel()
	for _, s := range message.States() {
		require.Contains(t, dialect.BirdStates(dialect.BirdStatus(s)), s)
	}
	require.Equal(t, dialect.BirdStates("accepted"), dialect.BirdStates("processing"))
	require.ElementsMatch(t, []message.State{message.Failed, message.Expired, message.Canceled, message.Unknown}, dialect.BirdStates("sending_failed"))
	require.Empty(t, dialect.BirdStates("pending"))
}

func TestMetadataOfAnotherMakingNamesNoChannel(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "null", "{}", `{"campaign":"x"}`, `{"channelId":7}`} {
		require.Zero(t, dialect.BirdChannelIn(json.RawMessage(raw)), raw)
	}
}
