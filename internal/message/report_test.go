package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestWhatAReportMeansForAMessage(t *testing.T) {
	t.Parallel()
	way := []message.Hop{{Account: "one"}, {Account: "two"}, {Account: "three"}}
	delivered, undelivered := message.Delivered, message.Undelivered
	attempted := message.Record{Hop: 1, Attempts: 2, HopAttempts: 1}
	at := func(s message.State, change func(*message.Record)) message.Record {
		r := attempted
		r.State = s
		if change != nil {
			change(&r)
		}
		return r
	}
	early := func(s message.State) func(*message.Record) {
		return func(r *message.Record) { r.Early = &message.EarlyReport{State: s} }
	}
	for name, tt := range map[string]struct {
		rec    message.Record
		report message.Report
		want   message.Effect
		hop    int
	}{
		"of an account that it never took":                {at(message.Sent, nil), message.Report{State: delivered, Account: "three"}, message.EffectForeign, 0},
		"of an account that is not there":                 {at(message.Sent, nil), message.Report{State: delivered, Account: "x"}, message.EffectForeign, 0},
		"of a message without an attempt":                 {message.Record{State: message.Accepted}, message.Report{State: delivered, Account: "one"}, message.EffectForeign, 0},
		"that says neither":                               {at(message.Sent, nil), message.Report{State: message.Sent, Account: "two"}, message.EffectForeign, 0},
		"delivered what was sent":                         {at(message.Sent, nil), message.Report{State: delivered, Account: "two"}, message.EffectEnd, 1},
		"undelivered what was sent":                       {at(message.Sent, nil), message.Report{State: undelivered, Account: "two"}, message.EffectEnd, 1},
		"delivered what was sent, by an earlier hop":      {at(message.Sent, nil), message.Report{State: delivered, Account: "one"}, message.EffectEnd, 0},
		"undelivered what was sent, by an earlier hop":    {at(message.Sent, nil), message.Report{State: undelivered, Account: "one"}, message.EffectNone, 0},
		"undelivered under the provider's id":             {at(message.Sent, func(r *message.Record) { r.ProviderID = "p" }), message.Report{State: undelivered, Account: "two", ProviderID: "p"}, message.EffectEnd, 1},
		"undelivered under another id of the provider's":  {at(message.Sent, func(r *message.Record) { r.ProviderID = "p" }), message.Report{State: undelivered, Account: "two", ProviderID: "q"}, message.EffectNone, 1},
		"undelivered without an id of the provider's":     {at(message.Sent, func(r *message.Record) { r.ProviderID = "p" }), message.Report{State: undelivered, Account: "two"}, message.EffectEnd, 1},
		"delivered what nobody knew of":                   {at(message.Unknown, nil), message.Report{State: delivered, Account: "two"}, message.EffectEnd, 1},
		"undelivered what waits for its report":           {at(message.Sending, func(r *message.Record) { r.Await = 5 }), message.Report{State: undelivered, Account: "two"}, message.EffectEnd, 1},
		"delivered what waits for another attempt":        {at(message.Retrying, nil), message.Report{State: delivered, Account: "two"}, message.EffectEnd, 1},
		"undelivered what waits for another attempt":      {at(message.Retrying, nil), message.Report{State: undelivered, Account: "two"}, message.EffectNone, 1},
		"delivered while an attempt is under way":         {at(message.Sending, nil), message.Report{State: delivered, Account: "two"}, message.EffectEarly, 1},
		"undelivered while an attempt is under way":       {at(message.Sending, nil), message.Report{State: undelivered, Account: "two"}, message.EffectEarly, 1},
		"undelivered, by an earlier hop, while under way": {at(message.Sending, nil), message.Report{State: undelivered, Account: "one"}, message.EffectNone, 0},
		"undelivered after it was said to be":             {at(message.Sending, early(undelivered)), message.Report{State: undelivered, Account: "two"}, message.EffectNone, 1},
		"delivered after it was said to be undelivered":   {at(message.Sending, early(undelivered)), message.Report{State: delivered, Account: "two"}, message.EffectEarly, 1},
		"delivered after it was said to be":               {at(message.Sending, early(delivered)), message.Report{State: delivered, Account: "two"}, message.EffectNone, 1},
		"delivered what had a report":                     {at(message.Undelivered, nil), message.Report{State: delivered, Account: "two"}, message.EffectNone, 1},
		"delivered what was canceled":                     {at(message.Canceled, nil), message.Report{State: delivered, Account: "two"}, message.EffectNone, 1},
		"of a record that is at a hop which is not there": {at(message.Sent, func(r *message.Record) { r.Hop = 9 }), message.Report{State: delivered, Account: "three"}, message.EffectEnd, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			effect, hop := tt.rec.EffectOf(&tt.report, way)
			require.Equal(t, tt.want, effect)
			require.Equal(t, tt.hop, hop)
		})
	}
}

func TestAReportResolvesADoubtOnlyIfItCanBeOfNoOtherAttempt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		early    *message.EarlyReport
		attempts int
		want     bool
	}{
		"no report":                     {nil, 1, false},
		"delivered":                     {&message.EarlyReport{State: message.Delivered}, 3, true},
		"undelivered, the only attempt": {&message.EarlyReport{State: message.Undelivered}, 1, true},
		"undelivered, one of several on the account": {&message.EarlyReport{State: message.Undelivered}, 2, false},
	} {
		r := message.Record{Early: tt.early, HopAttempts: tt.attempts}
		require.Equal(t, tt.want, r.ResolvesAmbiguity(), name)
	}
}

func TestAReportTakesNoMoreRoomThanItIsSaidTo(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain": "gone", "escapes": "\"\\<>&\x00\x1f\n", "not ASCII": "é€😀", "no UTF-8": "a\xff\xfe", "separators": "\u2028\u2029",
	} {
		for _, p := range []message.Report{
			{ID: text},
			{Account: text},
			{ProviderID: text},
			{Code: text},
			{Detail: text},
			{ID: text, State: message.Undelivered, At: 1_790_000_000_000, Account: text, ProviderID: text, Code: text, Detail: text},
		} {
			raw, err := json.Marshal(p)
			require.NoError(t, err)
			require.GreaterOrEqual(t, p.Size(), len(raw), name)
			require.LessOrEqual(t, p.Size(), len(raw)+130+30*len(text), name)
		}
	}
	plain := message.Report{ID: "abc"}
	require.Equal(t, 123, plain.Size())
	quoted := message.Report{ID: `"b ` + "\x1f\u00e9"}
	require.Equal(t, 120+len(quoted.ID)+5+5+2, quoted.Size(), "an escape is six bytes, and a byte beyond ASCII up to two")

	long := message.Report{ProviderID: strings.Repeat("p", 500), Code: "a b" + strings.Repeat("c", 100), Detail: strings.Repeat("d", 500)}.Bounded()
	require.Len(t, long.ProviderID, message.MaxDetail)
	require.Len(t, long.Detail, message.MaxDetail)
	require.Len(t, long.Code, message.MaxCode)
	require.Equal(t, "a_b", long.Code[:3])
}

func TestWhatALateReportMakesOfAMessageThatHasEnded(t *testing.T) {
	t.Parallel()
	way := []message.Hop{{Account: "one"}}
	rec := &message.Record{State: message.Sent, Attempts: 2}
	for name, tt := range map[string]struct{ at, want int64 }{
		"its own time": {50, 50}, "no time": {0, 100}, "a time that is yet to come": {101, 100}, "now": {100, 100}, "before all times": {-1, 100},
	} {
		l, effect := message.LateReportOf(&message.Report{State: message.Undelivered, Account: "one", At: tt.at, Code: "gone"}, 7, rec, way, 100)
		require.Equal(t, message.EffectEnd, effect, name)
		require.Equal(t, message.LateReport{
			Index: 7, From: message.Sent, State: message.Undelivered, Attempt: 2, At: tt.want, Kept: 100, Code: "gone",
		}, l, name)
	}
	l, effect := message.LateReportOf(&message.Report{State: message.Delivered, Account: "two"}, 7, rec, way, 100)
	require.Equal(t, message.EffectForeign, effect)
	require.Zero(t, l)

	at := message.At(60)
	for name, tt := range map[string]struct {
		l         message.LateReport
		row, want message.Row
		event     message.Event
	}{
		"delivered, it clears why nobody knew": {
			message.LateReport{State: message.Delivered, At: 50, Kept: 100, Rev: 9, ProviderID: "p", Code: "c", Detail: "d"},
			message.Row{State: message.Unknown, Code: "unknown", Detail: "who knows"},
			message.Row{State: message.Delivered, SentAt: message.At(50), FinishedAt: message.At(100), Rev: 9, ProviderID: "p"},
			message.EventDelivered,
		},
		"undelivered, it says why": {
			message.LateReport{State: message.Undelivered, At: 50, Kept: 100, Rev: 9, ProviderID: "q", Code: "c", Detail: "d"},
			message.Row{State: message.Sent, SentAt: at, ProviderID: "p"},
			message.Row{State: message.Undelivered, SentAt: at, FinishedAt: message.At(100), Rev: 9, ProviderID: "p", Code: "c", Detail: "d"},
			message.EventUndelivered,
		},
	} {
		row := tt.row
		tt.l.ApplyTo(&row)
		require.Equal(t, tt.want, row, name)
		require.Equal(t, tt.event, tt.l.Entry().Event, name)
		require.Equal(t, "c", tt.l.Entry().Code, name)
	}
}

func TestLateReportsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, want := range []message.LateReports{
		{},
		{{Index: 1, From: message.Sent, State: message.Delivered, At: 5, Kept: 6, Rev: 7}},
		{{Index: 1, From: message.Sent, State: message.Delivered, ProviderID: "p"}, {Index: 2, From: message.Sent, State: message.Delivered, ProviderID: "q"}},
		{
			{Index: 9, Segment: 3, From: message.Unknown, State: message.Undelivered, Hop: 1, Attempt: 2, At: 5, Kept: 6, ProviderID: "p", Code: "c", Detail: "d", Rev: 7},
			{Index: 2, Segment: 1, From: message.Sent, State: message.Delivered, At: 4, Kept: 8, Detail: "d", Rev: 3},
		},
	} {
		raw, err := json.Marshal(want)
		require.NoError(t, err)
		var got message.LateReports
		require.NoError(t, json.Unmarshal(raw, &got))
		require.Equal(t, want, got)
	}
	for _, damaged := range []string{
		`[]`, `{"v":2,"n":0}`, `{"v":1,"n":-1}`, `{"v":1,"n":16777216}`, `{"v":1,"n":2,"i":[1]}`, `{"v":1,"n":1,"p":[]}`, `{"v":1,"n":1,"p":["a","b"]}`,
		`{"v":1,"n":1,"f":[12]}`, `{"v":1,"n":1,"s":[12]}`, `{"v":1,"n":1,"f":[-1]}`, `{"v":1,"n":1,"k":[1]}`, `{"v":1,"n":1,"e":[2],"texts":["a"]}`,
	} {
		var got message.LateReports
		require.Error(t, json.Unmarshal([]byte(damaged), &got), damaged)
	}
}

func TestLateReportsMoveCounts(t *testing.T) {
	t.Parallel()
	var moved message.CountDeltas
	require.Equal(t, message.Counts{message.Sent: 3}, moved.Of(message.Counts{message.Sent: 3}))
	moved.Add(message.Sent, message.Delivered, 2)
	moved.Add(message.Sent, message.Delivered, 1)
	moved.Add(message.Sent, message.Undelivered, 1)
	moved.Add(message.Unknown, message.Delivered, 1)
	before := message.Counts{message.Sent: 10, message.Unknown: 1, message.Failed: 4}
	after := moved.Of(before)
	require.Equal(t, message.Counts{message.Sent: 6, message.Delivered: 4, message.Undelivered: 1, message.Failed: 4}, after)
	require.Equal(t, before.Total(), after.Total())
}
