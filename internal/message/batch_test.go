package message_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestABatchLeavesInGroupsWhereNobodyIsLeftWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	asked := message.Policy{Reconciles: true}
	resent := message.Policy{OnUnknown: message.Resend}
	neither := message.Policy{OnUnknown: message.Hold}
	for name, tt := range map[string]struct {
		wanted   string
		n, above int
		stored   bool
		first    message.Policy
		want     string
	}{
		"as the batch asks":                        {wanted: message.DispatchGroup, n: 1, first: neither, want: message.DispatchGroup},
		"as the batch asks, although it is large":  {wanted: message.DispatchMessage, n: 5000, stored: true, first: asked, want: message.DispatchMessage},
		"in the store, of an account to be asked":  {n: 5000, stored: true, first: asked, want: message.DispatchGroup},
		"auto is the same as nothing":              {wanted: message.DispatchAuto, n: 5000, stored: true, first: asked, want: message.DispatchGroup},
		"in the store, of one that sends again":    {n: 5000, stored: true, first: resent, want: message.DispatchGroup},
		"in the store, of one that can do neither": {n: 5000, stored: true, first: neither, want: message.DispatchMessage},
		"not in the store":                         {n: 5000, first: asked, want: message.DispatchMessage},
		"more than the config says":                {n: 101, above: 100, first: neither, want: message.DispatchGroup},
		"as many as the config says":               {n: 100, above: 100, stored: true, first: asked, want: message.DispatchMessage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &message.Batch{
				Dispatch: tt.wanted, Hops: [][]message.Hop{{}, {{Account: "first"}, {Account: "second"}}},
				Policies: map[string]message.Policy{"first": tt.first, "second": neither},
			}
			require.Equal(t, tt.want, b.DispatchFor(tt.n, tt.stored, tt.above))
		})
	}
}

func TestABatchCountsWhatIsRejected(t *testing.T) {
	t.Parallel()
	b := &message.Batch{Messages: make([]message.Message, 4)}
	require.Zero(t, b.Rejected())
	b.Messages[1].Problems.Add(1, "messages[1].to", message.CodeRequired, "no recipient")
	b.Messages[3].Problems.Add(3, "messages[3].to", message.CodeRequired, "no recipient")
	b.Messages[3].Problems.Add(3, "messages[3].ttl", message.CodeRange, "below 0")
	require.Equal(t, 2, b.Rejected())
	require.Len(t, b.Problems(), 3)
}

func TestTheTextOfAMessageIsShownUnlessItIsSensitive(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(b *message.Batch, m *message.Message)
		want   string
	}{
		"it is rendered again":     {func(*message.Batch, *message.Message) {}, "Hi Ann"},
		"the batch is sensitive":   {func(b *message.Batch, _ *message.Message) { b.Sensitive = true }, ""},
		"one account is sensitive": {func(b *message.Batch, _ *message.Message) { b.Policies["two"] = message.Policy{Sensitive: true} }, ""},
		"one account sends codes":  {func(b *message.Batch, _ *message.Message) { b.Policies["two"] = message.Policy{TwoFactor: true} }, ""},
		"it was rejected":          {func(_ *message.Batch, m *message.Message) { m.Problems.Add(0, "to", message.CodeFormat, "bad") }, ""},
		"its recipient is lost":    {func(_ *message.Batch, m *message.Message) { m.To = "" }, ""},
		"a parameter is missing":   {func(_ *message.Batch, m *message.Message) { m.Params = nil }, ""},
		"it has no text":           {func(b *message.Batch, _ *message.Message) { b.Template.TextPaths = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &message.Batch{
				Template: message.Template{Body: json.RawMessage(`{"text":"Hi ${name}"}`), Syntax: message.SyntaxBraces, TextPaths: [][]string{{"text"}}},
				Hops:     [][]message.Hop{{{Account: "one"}, {Account: "two"}}}, Policies: map[string]message.Policy{"one": {}, "two": {}},
			}
			m := &message.Message{To: "ann", Params: map[string]string{"name": "Ann"}}
			tt.change(b, m)
			got := b.TextOf(m)
			if tt.want == "" {
				require.Nil(t, got)
				return
			}
			require.Equal(t, tt.want, *got)
		})
	}
}

func TestARowShowsTheHopThatItsMessageIsAt(t *testing.T) {
	t.Parallel()
	b := &message.Batch{Hops: [][]message.Hop{{{Account: "one", Channels: []string{"RCS", "SMS"}}, {Account: "two"}}}}
	m := &message.Message{To: "ann", Reference: "c-1", Channels: []string{"WHATSAPP"}}
	for hop, want := range []struct{ account, channel string }{{"one", "RCS"}, {"two", "WHATSAPP"}, {"", "WHATSAPP"}} {
		row := b.RowOf(message.KeyOf("batch-b"), 7, m, &message.Record{Hop: hop})
		require.Equal(t, want.account, row.Account)
		require.Equal(t, want.channel, row.Channel)
		require.Equal(t, "c-1", *row.Reference)
		require.Equal(t, message.KeyOf("batch-b").MessageID(7), row.ID)
	}
	plain := b.RowOf(message.KeyOf("batch-b"), 0, &message.Message{To: "ann", Route: -1}, &message.Record{})
	require.Empty(t, plain.Channel)
	require.Empty(t, plain.Account)
	require.Nil(t, plain.Reference)

	trail := b.TrailOf(m, []message.Entry{{At: 5, Event: message.EventThrottled, Code: "c"}, {Hop: 1, Attempt: 2}, {Hop: 2}})
	require.Equal(t, []string{"one", "two", ""}, []string{trail[0].Account, trail[1].Account, trail[2].Account})
	require.EqualValues(t, 5, trail[0].At.UnixMilli())
	require.EqualValues(t, 1, trail[1].At.UnixMilli(), "no time is shown as the first one")
}

func TestAStatusSaysWhatTheBatchSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.FixedZone("", 3600))
	b := &message.Batch{ID: "b", Tenant: "acme", Dialect: "sinch", CreatedAt: now.Add(-time.Hour), SendAfter: 5}
	st := b.Status(message.BatchRunning, []string{"one"}, message.Counts{message.Sent: 2, message.Failed: 1}, nil, now, 17)
	require.Equal(t, "one", st.Account, "there is no other")
	require.Equal(t, message.DispatchMessage, st.Dispatch)
	require.JSONEq(t, `{}`, string(st.Metadata))
	require.Equal(t, 3, st.Total)
	require.Equal(t, time.UTC, st.AsOf.Location())
	require.EqualValues(t, 5, st.SendAfter.UnixMilli())
	require.Nil(t, st.RedriveOf)

	b.Account, b.RedriveOf, b.Dispatch, b.Metadata = "named", "old", message.DispatchGroup, json.RawMessage(`{"k":1}`)
	st = b.Status(message.BatchPaused, []string{"one"}, message.Counts{}, nil, now, 18)
	require.Equal(t, "named", st.Account)
	require.Equal(t, "old", *st.RedriveOf)
	require.Equal(t, message.DispatchGroup, st.Dispatch)
	require.JSONEq(t, `{"k":1}`, string(st.Metadata))
	b.Account = ""
	require.Empty(t, b.Status(message.BatchPaused, []string{"one", "two"}, message.Counts{}, nil, now, 18).Account)
}

func TestProblemsSayWhereTheyAre(t *testing.T) {
	t.Parallel()
	var none message.Problems
	require.False(t, none.Whole())
	var all message.Problems
	all.Add(2, "messages[2].to", message.CodeRequired, "expected at most %d", 3)
	require.False(t, all.Whole())
	all.Add(message.WholeBatch, "", message.CodeFormat, "100% no JSON")
	require.True(t, all.Whole())
	require.Equal(t, "messages[2].to: expected at most 3 (required)\n100% no JSON (format)", all.Error(), "a detail without values is no format")
	require.Equal(t, "line 4: ", (&message.Message{Line: 4}).AtLine())
	require.Empty(t, (&message.Message{}).AtLine())
}

func TestWhereTheFormatOfCallbacksFollowsTheDialect(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[string]string{"sinch": "sinch", "bird": "bird", "imkit": "volley", "bluesky": "volley", "volley": "volley"} {
		require.Equal(t, want, message.CallbackFormat(dialect), dialect)
	}
}

func TestBatchIDsHaveTheFormOfTheirProvider(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ulid, uuid := `^[0-7][0-9A-HJKMNP-TV-Z]{25}$`, `^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	sum := [32]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for dialect, form := range map[string]string{"sinch": ulid, "bird": uuid, "imkit": uuid, "volley": uuid} {
		require.Regexp(t, form, message.NewBatchID(dialect, now))
		one, two := message.NewBatchID(dialect, now), message.NewBatchID(dialect, now)
		require.NotEqual(t, one, two)
		require.Regexp(t, form, message.BatchIDFrom(dialect, sum))
		require.NotEqual(t, message.BatchIDFrom(dialect, [32]byte{}), message.BatchIDFrom(dialect, sum))
	}
	require.Equal(t, "ffffffff-ffff-8fff-bfff-000000000000", message.BatchIDFrom("bird", sum))
}

func TestTheRowOfABatchOfOneComesBack(t *testing.T) {
	t.Parallel()
	want := message.Rows{{ID: message.KeyOf("batch-b").MessageID(0), To: "ann", State: message.Sent, DueAt: message.At(5), ExpiresAt: message.At(9)}}
	var got message.Rows
	again(t, want, &got)
	require.Equal(t, want, got)
}
