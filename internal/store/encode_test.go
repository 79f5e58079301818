package store_test

import (
	"encoding/json"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/internal/store"
)

func same(t *testing.T, m *message.Message) {
	t.Helper()
	m.Problems = nil
	want, err := json.Marshal(m)
	require.NoError(t, err)
	got, err := store.Encode(m)
	require.NoError(t, err)
	var a, b message.Message
	require.NoError(t, json.Unmarshal(want, &a))
	require.NoError(t, json.Unmarshal(got, &b), string(got))
	require.Equal(t, a, b)
}

func TestMessagesAreWrittenAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	for _, m := range []message.Message{
		{},
		{To: "+4915112345678", Route: -1},
		{To: "0151 2345678", Phone: "+491512345678"},
		{To: "a\x00\x1f\"\\\n<>&\u2028é\U0001F600", Reference: "\xff\xfe\xc3", Due: -1, TTL: 1 << 60},
		{Channels: []string{"SMS", ""}, Params: map[string]string{"": "x", "b\xff": "", "a": "\u007f"}},
		{Channels: []string{}, Params: map[string]string{}},
		{Body: json.RawMessage(" { \"a\" : \"<b>&\u2028\" , \"n\": 1.0e3 } "), Metadata: json.RawMessage("null")},
		{Body: json.RawMessage(`[1, {"é": "\ud83d\ude00"}]`), Metadata: json.RawMessage(`"x"`)},
	} {
		same(t, &m)
	}
	require.NoError(t, quick.Check(func(to, ref string, channels []string, params map[string]string, text string, due, ttl int64, route int) bool {
		body, err := json.MarshalIndent(map[string]any{"text": text, "n": due}, "", "  ")
		require.NoError(t, err)
		same(t, &message.Message{
			To: to, Reference: ref, Channels: channels, Params: params, Body: body, Due: due, TTL: ttl, Route: route,
		})
		return !t.Failed()
	}, nil))
	_, err := store.Encode(&message.Message{Body: json.RawMessage(`{"a":`)})
	require.ErrorContains(t, err, "body")
	_, err = store.Encode(&message.Message{Metadata: json.RawMessage(`{} {}`)})
	require.ErrorContains(t, err, "metadata")
}

func FuzzEncode(f *testing.F) {
	f.Add("+49", "ref", "SMS", "name", "Ann", []byte(`{"text":"<hi>"}`), int64(5))
	f.Add("\xff", "\u2028", "\"", "\\", "\x00", []byte(`"\u2028"`), int64(-1))
	f.Fuzz(func(t *testing.T, to, ref, channel, key, value string, body []byte, due int64) {
		if !json.Valid(body) {
			body = nil
		}
		same(t, &message.Message{
			To: to, Reference: ref, Channels: []string{channel}, Params: map[string]string{key: value}, Body: body, Due: due,
		})
	})
}

func BenchmarkEncode(b *testing.B) {
	m := sample(7)
	b.ReportAllocs()
	w := &message.Message{}
	*w = m
	for b.Loop() {
		_, _ = store.Encode(w)
	}
}
