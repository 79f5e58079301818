package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestAMessageIDCarriesItsBatchAndItsIndex(t *testing.T) {
	t.Parallel()
	for _, workflow := range []string{"batch-a", "batch-acme/x.1", "batch-" + strings.Repeat("z", 100)} {
		key := message.KeyOf(workflow)
		parsed, err := message.ParseKey(key.String())
		require.NoError(t, err)
		require.Equal(t, key, parsed)
		for _, i := range []int{0, 1, 999, 1 << 20, message.MaxIndex} {
			id := key.MessageID(i)
			u, err := uuid.Parse(id)
			require.NoError(t, err)
			require.Equal(t, uuid.Version(8), u.Version())
			require.Equal(t, uuid.RFC4122, u.Variant())
			got, index, ok := message.ParseID(id)
			require.True(t, ok)
			require.Equal(t, key, got)
			require.Equal(t, i, index)
		}
	}
	for _, no := range []string{"", "x", uuid.NewString(), uuid.Nil.String()} {
		_, _, ok := message.ParseID(no)
		require.False(t, ok, no)
	}
	require.NotEqual(t, message.KeyOf("batch-a"), message.KeyOf("batch-b"))
}

func TestMessageIDsOfStoredBatchesNeverChange(t *testing.T) {
	t.Parallel()
	require.Equal(t, "96122ccc-ee58-82c2-8f57-30618c000007", message.KeyOf("default-test-workflow-id").MessageID(7))
}

func TestAWorkflowIDNamesTenantAndBatch(t *testing.T) {
	t.Parallel()
	cases := []struct {
		workflow, tenant, id string
		ok                   bool
	}{
		{"batch-b", "default", "b", true},
		{"batch-acme/b", "acme", "b", true},
		{"batch-acme/b~0012", "acme", "b", true},
		{"batch-b~0001", "default", "b", true},
		{"batch-", "default", "", false},
		{"batch-/b", "", "b", false},
		{"other", "default", "other", false},
	}
	for _, c := range cases {
		tenant, id, ok := message.ParseWorkflowID(c.workflow)
		require.Equal(t, c.ok, ok, c.workflow)
		if ok {
			require.Equal(t, []string{c.tenant, c.id}, []string{tenant, id}, c.workflow)
		}
	}
	require.Equal(t, "batch-b", message.WorkflowID("", "b"))
	require.Equal(t, "batch-acme/b", message.WorkflowID("acme", "b"))
}

func TestCountsAlwaysNameAllTwelveStates(t *testing.T) {
	t.Parallel()
	var c message.Counts
	c[message.Sent], c[message.Unknown] = 2, 1
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `{"accepted":0,"scheduled":0,"sending":0,"retrying":0,"sent":2,"delivered":0,"undelivered":0,`+
		`"failed":0,"rejected":0,"expired":0,"canceled":0,"unknown":1}`, string(b))
	var back message.Counts
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, c, back)
	require.Equal(t, 3, back.Total())
	require.Zero(t, back.Open())
	for _, s := range message.States() {
		parsed, err := message.ParseState(s.String())
		require.NoError(t, err)
		require.Equal(t, s, parsed)
		require.NotEqual(t, s.Final(), s.Waiting() || s == message.Sending)
	}
}

func TestATrailKeepsItsFirstFiveAndLastFifteenEntries(t *testing.T) {
	t.Parallel()
	var r message.Record
	for i := range 50 {
		r.Note(message.Entry{At: int64(i), Event: message.EventThrottled, Detail: strings.Repeat("é", 300)})
	}
	require.Len(t, r.Trail, 20)
	require.EqualValues(t, 4, r.Trail[4].At)
	require.EqualValues(t, 35, r.Trail[5].At)
	require.EqualValues(t, 49, r.Trail[19].At)
	require.Len(t, r.Trail[0].Detail, message.MaxDetail)
}

func TestTrailsOfAThousandMessagesFitInOnePayload(t *testing.T) {
	t.Parallel()
	trails := make(message.Trails, 1000)
	for i := range trails {
		for j := range 20 {
			trails[i] = append(trails[i], message.Entry{
				At: 1_790_000_000_000 + int64(i*j), Attempt: j, Hop: j % 3, Event: message.EventUnavailable,
				Code: "http_503", Detail: fmt.Sprintf("request %d-%d %s", i, j, strings.Repeat("x", 150)),
			})
		}
	}
	b, err := json.Marshal(trails)
	require.NoError(t, err)
	require.Less(t, len(b), 1_000_000)
	var back message.Trails
	require.NoError(t, json.Unmarshal(b, &back))
	require.Len(t, back, 1000)
	require.Equal(t, trails[0], back[0])
	for i := range back {
		require.Len(t, back[i], 20)
		for j := range back[i] {
			require.Equal(t, trails[i][j].At, back[i][j].At)
			require.Equal(t, trails[i][j].Event, back[i][j].Event)
		}
	}
	require.Error(t, json.Unmarshal([]byte(`{"texts":[""],"entries":[[[1,0,0,99,0,0]]]}`), &back))
}

func TestRowsComeBackFromAResultAsTheyWere(t *testing.T) {
	t.Parallel()
	key, ref := message.KeyOf("batch-b"), "r"
	rows := message.Rows{
		{Index: 0, ID: key.MessageID(0), To: "a", State: message.Sent, DueAt: message.At(5), ExpiresAt: message.At(9), SentAt: message.At(6), FinishedAt: message.At(7), Attempts: 1, Rev: 3, ProviderID: "p", Reference: &ref},
		{Index: 1, ID: key.MessageID(1), To: "+15550001001", Given: "+1 (555) 000-1001", Channel: "SMS", Account: "x", State: message.Rejected, DueAt: message.At(5), ExpiresAt: message.At(5), FinishedAt: message.At(1), Code: "format", Detail: "bad", Rev: 4},
	}
	b, err := json.Marshal(message.Result{V: 1, Rows: rows})
	require.NoError(t, err)
	var back message.Result
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, rows, back.Rows)
	require.NoError(t, json.Unmarshal([]byte(`{"rows":{"key":"","list":[]}}`), &back))
	require.Empty(t, back.Rows)
	require.Error(t, json.Unmarshal([]byte(`{"rows":{"key":"zz","list":[{}]}}`), &back))
}

func TestHopsFollowTheFirstRouteOfEachChannel(t *testing.T) {
	t.Parallel()
	router := message.Router{
		Accounts: map[string]message.Policy{
			"eu": {Provider: "sinch"}, "us": {Provider: "sinch"}, "bird": {Provider: "bird", TwoFactor: true},
		},
		Routes: []message.Route{
			{Dialect: "sinch", Channel: "SMS", Hops: []string{"eu", "bird"}},
			{Dialect: "sinch", Channel: "RCS", Hops: []string{"eu"}},
			{Dialect: "sinch", Channel: "MMS", Hops: []string{"us"}},
			{Dialect: "bird", Hops: []string{"bird"}},
		},
	}
	cases := map[string]struct {
		dialect, account string
		channels         []string
		want             []message.Hop
		problem          string
	}{
		"neighbours on one sinch account are one request": {
			"sinch", "",
			[]string{"RCS", "SMS"},
			[]message.Hop{{Account: "eu", Channels: []string{"RCS", "SMS"}}, {Account: "bird", Channels: []string{"SMS"}}},
			"",
		},
		"other accounts stay apart": {
			"sinch", "",
			[]string{"MMS", "RCS"},
			[]message.Hop{{Account: "us", Channels: []string{"MMS"}}, {Account: "eu", Channels: []string{"RCS"}}},
			"",
		},
		"a route without a channel matches every one": {"bird", "", nil, []message.Hop{{Account: "bird"}}, ""},
		"an account that was named beats routes":      {"sinch", "us", []string{"SMS"}, []message.Hop{{Account: "us", Channels: []string{"SMS"}}}, ""},
		"a channel without a route is passed over":    {"sinch", "", []string{"LINE", "MMS"}, []message.Hop{{Account: "us", Channels: []string{"MMS"}}}, ""},
		"no route":                     {"imkit", "", nil, nil, "no route matches"},
		"an account that is not there": {"bird", "gone", nil, nil, "gone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &message.Batch{Dialect: c.dialect, Account: c.account, Messages: []message.Message{{To: "x", Channels: c.channels}}}
			router.Accept(b, func(i int) string { return fmt.Sprintf("to[%d]", i) })
			if c.problem != "" {
				require.Len(t, b.Messages[0].Problems, 1)
				require.Equal(t, message.CodeUnroutable, b.Messages[0].Problems[0].Code)
				require.Equal(t, "to[0]", b.Messages[0].Problems[0].Path)
				require.Contains(t, b.Messages[0].Problems[0].Detail, c.problem)
				require.Nil(t, b.HopsOf(&b.Messages[0]))
				return
			}
			require.Empty(t, b.Messages[0].Problems)
			require.Equal(t, c.want, b.HopsOf(&b.Messages[0]))
			if c.account == "" {
				require.Equal(t, c.want[0].Account, router.First(c.dialect, c.channels))
			}
		})
	}
	require.Empty(t, router.First("imkit", nil))
	limited := router
	limited.Allowed = []string{"us"}
	b := &message.Batch{Dialect: "bird", Messages: []message.Message{{To: "x"}}}
	limited.Accept(b, func(int) string { return "to" })
	require.Equal(t, message.CodeUnroutable, b.Messages[0].Problems[0].Code)
}

func TestARowShowsANumberInItsNormalFormAndAsItWasGiven(t *testing.T) {
	t.Parallel()
	b := message.Batch{Messages: []message.Message{{To: "(555) 000-1001", Phone: "+15550001001"}, {To: "ann"}}}
	row := b.RowOf(message.KeyOf("batch-b"), 0, &b.Messages[0], &message.Record{})
	require.Equal(t, "+15550001001", row.To)
	require.Equal(t, "(555) 000-1001", row.Given)
	require.Equal(t, "(555) 000-1001", row.Written())
	columns := row.Columns()
	require.Len(t, columns, len(message.RowColumns()))
	require.Equal(t, "(555) 000-1001", columns[len(columns)-1])
	row = b.RowOf(message.KeyOf("batch-b"), 1, &b.Messages[1], &message.Record{})
	require.Equal(t, []string{"ann", "", "ann"}, []string{row.To, row.Given, row.Written()})
}

func TestValidityCountsFromTheDueTimeAndIsCapped(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b := &message.Batch{
		CreatedAt: now, Hops: [][]message.Hop{{{Account: "plain"}}, {{Account: "codes"}}},
		Policies: map[string]message.Policy{"plain": {}, "codes": {TwoFactor: true}},
		Messages: []message.Message{{}, {Route: 1}, {TTL: 1000, Due: 5}, {TTL: 315_576_000_000_000}},
	}
	require.Equal(t, now.UnixMilli(), b.DueAt(&b.Messages[0]))
	require.Equal(t, message.DefaultTTL.Milliseconds(), b.Validity(&b.Messages[0]))
	require.Equal(t, message.TwoFactorTTL.Milliseconds(), b.Validity(&b.Messages[1]))
	require.EqualValues(t, 1000, b.Validity(&b.Messages[2]))
	require.EqualValues(t, 5, b.DueAt(&b.Messages[2]))
	require.Equal(t, message.MaxTTL.Milliseconds(), b.Validity(&b.Messages[3]))
	b.SendAfter, b.TTL = 77, 88
	require.EqualValues(t, 77, b.DueAt(&b.Messages[0]))
	require.EqualValues(t, 88, b.Validity(&b.Messages[1]))
}

// Two bodies that say the same have one hash however they are written, and the short
// way for plain ones agrees with the long one.
func TestTheHashOfWhatAMessageSays(t *testing.T) {
	t.Parallel()
	hash := func(body string) uint64 {
		m := message.Message{To: "+1", Body: json.RawMessage(body)}
		return m.HashFor("+1")
	}
	for _, same := range [][]string{
		{`{"text":"Hi <b> & \u003e"}`, `{"text":"Hi \u003cb> & >"}`, `{ "text" : "Hi <b> & > " }`},
		{`{"text":"Hi"}`, `{"text":" Hi "}`, `{"text":"\u0048i"}`},
		{`{"a":"1","b":"2"}`, `{"b":"2","a":"1"}`},
		{`{"text":"é"}`, `{"text":"\u00e9"}`},
	} {
		for _, other := range same[1:] {
			require.Equal(t, hash(same[0]), hash(other), "%s and %s", same[0], other)
		}
	}
	require.NotEqual(t, hash(`{"text":"Hi"}`), hash(`{"text":"hi"}`))
	require.NotEqual(t, hash(`{"a":"x"}`), hash(`{"b":"x"}`))
	written := message.Message{To: "(555) 1", Phone: "+1555", Body: []byte(`{"to":"(555) 1","text":"1"}`)}
	plain := message.Message{To: "+1555", Body: []byte(`{"to":"+1555","text":"1"}`)}
	require.Equal(t, plain.HashFor(plain.Recipient()), written.HashFor(written.Recipient()), "numbers count in their normal form")
	require.NotEqual(t, hash(`{"a":"x\":\"y"}`), hash(`{"a":"x","y":""}`))
}
