package dialect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/message"
)

// encoded compares documents, one a line, with a golden file of testdata/encode.
func encoded(t *testing.T, name string, docs ...any) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	for _, doc := range docs {
		require.NoError(t, enc.Encode(doc))
	}
	file := "testdata/encode/" + name + ".golden"
	if *update {
		require.NoError(t, os.MkdirAll("testdata/encode", 0o755))
		require.NoError(t, os.WriteFile(file, got.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), got.String())
}

func TestSinchAnswers(t *testing.T) {
	t.Parallel()
	due := accepted.Add(time.Hour)
	batch := func(state message.BatchState, sendAfter *time.Time, meta string) dialect.SinchBatch {
		return dialect.EncodeSinchBatch(message.Status{
			ID: "01GCA8RWNW9FVGVSYS1BMKRW80", State: state, CreatedAt: accepted.Add(1500 * time.Millisecond), SendAfter: sendAfter,
			Metadata: json.RawMessage(meta), AsOf: accepted,
		})
	}
	encoded(
		t, "sinch",
		dialect.EncodeSinchAccepted("01GCA8RWNW9FVGVSYS1BMKRW80", &due, accepted),
		dialect.EncodeSinchAccepted("01GCA8RWNW9FVGVSYS1BMKRW80", nil, accepted.Add(1500*time.Millisecond)),
		batch(message.BatchScheduled, &due, `{"campaign":"<spring>","n":1e400,"deep":{"a":[1]}}`),
		batch(message.BatchRunning, nil, `{}`),
		batch(message.BatchPaused, &due, `{"_batch_id":"another"}`),
		batch(message.BatchPaused, nil, ``),
		batch(message.BatchCanceling, &due, `{}`),
		batch(message.BatchCanceled, &due, `{}`),
		batch(message.BatchCompleted, &due, `{}`),
		batch(message.BatchFailed, &due, `{}`),
	)
}

func TestSinchTarget(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"app_id":"a","channel_priority_order":["SMS","RCS"]}`: "a", "\ufeff" + `{"app_id":"a"}`: "a",
		`{"app_id":1}`: "", `{`: "", ``: "", `[]`: "",
	} {
		app, _ := dialect.SinchTarget([]byte(body))
		require.Equal(t, want, app, body)
	}
	_, order := dialect.SinchTarget([]byte(`{"channel_priority_order":["SMS","RCS"]}`))
	require.Equal(t, []string{"SMS", "RCS"}, order)
}

func TestBlueskyViews(t *testing.T) {
	t.Parallel()
	view := func(row message.Row, content string) dialect.BlueskyView {
		v, err := dialect.EncodeBlueskyView(row, json.RawMessage(content), dialect.BlueskyDID("bsky-main", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"))
		require.NoError(t, err)
		return v
	}
	sent, later := accepted.Add(1234*time.Millisecond), accepted.Add(time.Minute)
	encoded(
		t, "bluesky",
		view(message.Row{ID: "ours", ProviderID: "3k", SentAt: &sent, FinishedAt: &later}, `{"convoId":"c","message":{"text":"<hi> é"}}`),
		view(message.Row{Index: 1, ID: "ours", SentAt: &sent}, `{"convoId":"c","message":{"text":"","facets":[{"index":{"byteStart":0,"byteEnd":1},"features":[{"$type":"x","n":1.0}]}],`+
			`"embed":{"$type":"app.bsky.embed.record","record":{"uri":"at://did:plc:a/b/c","cid":"bafyreiabc"}},"replyTo":{"messageId":"3j"}}}`),
		view(message.Row{ID: "ours", FinishedAt: &later}, `{"convoId":"c","message":{"text":"found"}}`),
	)
	require.Equal(t, "did:volley:bsky-main", dialect.BlueskyDID("bsky-main", "bot.example.com"))
	_, err := dialect.EncodeBlueskyView(message.Row{}, json.RawMessage(`[]`), "")
	require.Error(t, err)
}

func TestBlueskyRevsGrowAsTimeDoes(t *testing.T) {
	t.Parallel()
	last := ""
	for i := range 200 {
		at := accepted.Add(time.Duration(i/100) * time.Microsecond)
		v, err := dialect.EncodeBlueskyView(message.Row{Index: i % 100, SentAt: &at}, json.RawMessage(`{"message":{"text":""}}`), "did:volley:a")
		require.NoError(t, err)
		require.Len(t, v.Rev, 13)
		require.Greater(t, v.Rev, last)
		last = v.Rev
	}
}

func TestBlueskyProblemsInTheWordsOfTheReferenceServer(t *testing.T) {
	t.Parallel()
	long := `{"items":[{"convoId":"c","message":{"text":"` + string(bytes.Repeat([]byte("x"), 10_001)) + `"}}]}`
	for _, c := range []struct{ body, want string }{
		{`{}`, `Input must have the property "items"`},
		{`[]`, `Input must be an object`},
		{`{"items":{}}`, `Input/items must be an array`},
		{`{"items":[` + string(bytes.Repeat([]byte("1,"), 100)) + `1]}`, `Input/items must not have more than 100 elements`},
		{`{"items":[{"convoId":"c","message":{}}]}`, `Input/items/0/message must have the property "text"`},
		{`{"items":[{"convoId":"c","message":{"text":1}}]}`, `Input/items/0/message/text must be a string`},
		{long, `Input/items/0/message/text must not be longer than 10000 characters`},
		{`{"items":[{"convoId":"c","message":{"text":"` + string(bytes.Repeat([]byte("é"), 1001)) + `"}}]}`, `Input/items/0/message/text must not be longer than 1000 graphemes`},
		{`{"items":[{"convoId":"","message":{"text":""}}]}`, `Input/items/0/convoId: must not be empty`},
		{`{"items":[{"convoId":"c","message":{"text":"","facets":[{"index":{"byteStart":1.5,"byteEnd":2},"features":[]}]}}]}`, `Input/items/0/message/facets/0/index/byteStart must be an integer`},
	} {
		_, problems := decode(t, "bluesky", c.body, dialect.Options{Now: accepted})
		require.NotEmpty(t, problems)
		require.Equal(t, c.want, dialect.EncodeBlueskyProblem(problems[0], ""))
	}
	_, problems := decode(t, "bluesky", `{"items":[{"convoId":"c"}]}`, dialect.Options{Now: accepted})
	require.Equal(t, `Input must have the property "message"`, dialect.EncodeBlueskyProblem(problems[0], "items[0]"))
	_, problems = decode(t, "bluesky", `{"items":[1]}`, dialect.Options{Now: accepted})
	require.Equal(t, `Input must be an object`, dialect.EncodeBlueskyProblem(problems[0], "items[0]"))
}
