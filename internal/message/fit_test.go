package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// The server's limit of one payload.
const payloadLimit = 2 << 20

func TestTheWorstStateAndResultOfAThousandMessagesFitIntoOnePayload(t *testing.T) {
	t.Parallel()
	const input = 1 << 20
	key := message.KeyOf("batch-b")
	records := make([]message.Record, 1000)
	rows := make(message.Rows, 1000)
	trails := make(message.Trails, 1000)
	for i := range records {
		r := &records[i]
		*r = message.Record{
			State: message.Unknown, Hop: 7, Attempts: 100_000, HopAttempts: 100_000, Asked: 100_000, Stop: true,
			Next: 1e13, Due: 1e13, Expires: 1e13, Began: 1e13, Doubt: 1e13, Sent: 1e13, Finished: 1e13, Rev: 1e9,
			ProviderID: strings.Repeat("p", message.MaxDetail), Code: message.CleanCode(strings.Repeat("<x", message.MaxCode)),
			Detail: strings.Repeat("<", message.MaxDetail),
		}
		for j := range 30 {
			r.Note(message.Entry{
				At: 1e12 + int64(j)*1e8, Hop: 7, Attempt: 100_000 + j, Event: message.EventUnavailable,
				Code: r.Code, Detail: fmt.Sprintf("%d-%d%s", i, j, strings.Repeat("<", 200)),
			})
		}
		trails[i] = r.Trail
		ref := strings.Repeat("r", 200)
		rows[i] = message.Row{
			Index: i, ID: key.MessageID(i), Reference: &ref, To: strings.Repeat("t", input/1000-300), State: message.Failed,
			DueAt: message.At(1e13), ExpiresAt: message.At(2e13), SentAt: message.At(1e13), FinishedAt: message.At(1e13),
			Attempts: 100_000, Code: r.Code, Detail: r.Detail, Rev: 1e9,
		}
	}
	kept, cut := message.FitRecords(records, input)
	state, err := json.Marshal(map[string]any{"records": kept, "trails": cut})
	require.NoError(t, err)
	require.Less(t, len(state)+input, payloadLimit)
	require.NotEmpty(t, cut[0])
	require.Len(t, records[0].Detail, message.MaxDetail, "the records themselves stay as they are")

	for i := range rows { // what is left of the input's size is the batch's metadata
		rows[i].To = strings.Repeat("t", input/2000-300)
	}
	st := message.Status{Metadata: json.RawMessage(`"` + strings.Repeat("m", input/2) + `"`)}
	cut = message.FitRows(&st, rows, trails)
	result, err := json.Marshal(message.Result{Status: st, Rows: rows, Trails: cut})
	require.NoError(t, err)
	require.Less(t, len(result), payloadLimit-100_000)
	require.Equal(t, trails[0][len(trails[0])-1].At, cut[0][len(cut[0])-1].At, "the end of a trail is kept")
}

func TestOrdinaryTrailsAreKeptWhole(t *testing.T) {
	t.Parallel()
	records := make([]message.Record, 1000)
	for i := range records {
		for j := range 20 {
			records[i].Note(message.Entry{At: 1e12 + int64(j), Event: message.EventThrottled, Code: "http_429", Detail: "slow down"})
		}
		records[i].Detail = "slow down"
	}
	kept, trails := message.FitRecords(records, 300_000)
	require.Equal(t, "slow down", kept[7].Detail)
	require.Len(t, trails[7], 20)
	trails = message.FitRows(new(message.Status), make(message.Rows, 1000), trails)
	require.Len(t, trails[7], 20)
}
