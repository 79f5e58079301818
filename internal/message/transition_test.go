package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// underWay is a message whose first attempt is under way, on the first of two hops.
func underWay(change func(*message.Batch, *message.Record)) message.Transition {
	b := &message.Batch{Policies: map[string]message.Policy{"one": {Attempts: 3, Settle: 7}, "two": {NoReports: true}}}
	rec := &message.Record{State: message.Sending, Attempts: 1, HopAttempts: 1, Due: 10, Began: 50, Expires: 1000}
	t := message.Transition{Record: rec, Batch: b, Hops: []message.Hop{{Account: "one"}, {Account: "two"}}, Now: 100}
	if change != nil {
		change(b, rec)
	}
	return t
}

func TestWhatAnOutcomeMeans(t *testing.T) {
	t.Parallel()
	early := func(s message.State) func(*message.Batch, *message.Record) {
		return func(_ *message.Batch, r *message.Record) {
			r.HopAttempts, r.Early = 2, &message.EarlyReport{State: s, At: 60, Code: "gone"}
		}
	}
	stopped := func(_ *message.Batch, r *message.Record) { r.Stop, r.Code, r.Detail = true, "canceled", "enough" }
	lastHop := func(_ *message.Batch, r *message.Record) { r.Hop = 1 }
	awaiting := func(b *message.Batch, _ *message.Record) { b.AwaitReports = 500 }
	undelivered := func(b *message.Batch, r *message.Record) {
		awaiting(b, r)
		early(message.Undelivered)(b, r)
	}
	for name, tt := range map[string]struct {
		kind   string
		change func(*message.Batch, *message.Record)
		want   message.Record // State, Hop, Attempts, Next, Await, Doubt and Code are compared
	}{
		"sent":                                 {"sent", nil, message.Record{State: message.Sent, Attempts: 1}},
		"sent and its report awaited":          {"sent", awaiting, message.Record{State: message.Sending, Attempts: 1, Next: 600, Await: 600}},
		"sent and it was delivered":            {"sent", early(message.Delivered), message.Record{State: message.Delivered, Attempts: 1}},
		"sent and it was not delivered":        {"sent", early(message.Undelivered), message.Record{State: message.Undelivered, Attempts: 1, Code: "gone"}},
		"sent and another account may try":     {"sent", undelivered, message.Record{State: message.Retrying, Hop: 1, Attempts: 1, Next: 100, Code: "gone"}},
		"throttled":                            {"throttled", nil, message.Record{State: message.Retrying, Attempts: 1, Next: 130, Code: "why"}},
		"throttled for the last time":          {"throttled", func(_ *message.Batch, r *message.Record) { r.HopAttempts = 3 }, message.Record{State: message.Retrying, Hop: 1, Attempts: 1, Next: 100}},
		"throttled and canceled":               {"throttled", stopped, message.Record{State: message.Canceled, Attempts: 1, Code: "canceled"}},
		"throttled and delivered":              {"throttled", early(message.Delivered), message.Record{State: message.Delivered, Attempts: 1}},
		"refused":                              {"rejected", nil, message.Record{State: message.Retrying, Hop: 1, Attempts: 1, Next: 100}},
		"refused and canceled":                 {"rejected", stopped, message.Record{State: message.Canceled, Attempts: 1, Code: "canceled"}},
		"refused too late for another":         {"rejected", func(_ *message.Batch, r *message.Record) { r.Expires = 100 }, message.Record{State: message.Failed, Attempts: 1, Code: "why"}},
		"refused by the last":                  {"invalid", lastHop, message.Record{State: message.Failed, Hop: 1, Attempts: 1, Code: "why"}},
		"refused by the last, then canceled":   {"invalid", func(b *message.Batch, r *message.Record) { lastHop(b, r); stopped(b, r) }, message.Record{State: message.Failed, Hop: 1, Attempts: 1, Code: "why"}},
		"ambiguous":                            {"ambiguous", nil, message.Record{State: message.Sending, Attempts: 1, Next: 107, Doubt: 100, Code: "why"}},
		"ambiguous and canceled":               {"ambiguous", stopped, message.Record{State: message.Sending, Attempts: 1, Next: 107, Doubt: 100, Code: "canceled"}},
		"ambiguous and delivered":              {"ambiguous", early(message.Delivered), message.Record{State: message.Delivered, Attempts: 1}},
		"ambiguous and undelivered once":       {"ambiguous", early(message.Undelivered), message.Record{State: message.Sending, Attempts: 1, Next: 107, Doubt: 100, Code: "why"}},
		"it never left":                        {message.NotStarted, nil, message.Record{State: message.Accepted, Next: 130}},
		"it never left, and another had":       {message.NotStarted, func(_ *message.Batch, r *message.Record) { r.Attempts = 2 }, message.Record{State: message.Retrying, Attempts: 1, Next: 130}},
		"it never left and was canceled":       {message.NotStarted, stopped, message.Record{State: message.Canceled, Code: "canceled"}},
		"its validity had run out":             {"expired", nil, message.Record{State: message.Expired, Code: "expired"}},
		"its validity ran out, it came before": {"expired", early(message.Delivered), message.Record{State: message.Delivered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := underWay(tt.change)
			m.Answered(message.Outcome{Kind: tt.kind, At: 90, ProviderID: "p", Code: "why", Detail: "as it was said", RetryAfter: 30})
			require.Equal(t, tt.want, message.Record{
				State: m.State, Hop: m.Hop, Attempts: m.Attempts, Next: m.Next, Await: m.Await, Doubt: m.Doubt, Code: m.Code,
			})
			require.Equal(t, m.State.Final(), m.Finished > 0)
			if m.Stop && m.State == message.Canceled {
				require.Equal(t, "enough", m.Detail)
			}
		})
	}
}

func TestAReportEndsAnewWhatHadEnded(t *testing.T) {
	t.Parallel()
	m := underWay(func(b *message.Batch, r *message.Record) {
		b.AwaitReports = 500
		r.State, r.Finished, r.Sent, r.ProviderID = message.Sent, 90, 80, "p"
		r.Early = &message.EarlyReport{State: message.Undelivered, At: 95, ProviderID: "p", Code: "gone"}
	})
	m.Report()
	require.Equal(t, message.Undelivered, m.State, "it is not sent again")
	require.Equal(t, int64(100), m.Finished)
	require.Equal(t, "gone", m.Code)
	require.Nil(t, m.Early)
}
