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

// repeated is a message of which an earlier attempt may have arrived, and which was sent
// again through the same account.
func repeated(change func(*message.Batch, *message.Record)) message.Transition {
	return underWay(func(b *message.Batch, r *message.Record) {
		b.Policies["one"] = message.Policy{Attempts: 9, OnUnknown: message.Resend}
		r.Attempts, r.HopAttempts, r.Unresolved = 2, 2, 20
		if change != nil {
			change(b, r)
		}
	})
}

func TestAMessageThatMayHaveArrivedIsNeverSaidNotToHave(t *testing.T) {
	t.Parallel()
	answer := func(kind string) func(message.Transition) {
		return func(m message.Transition) {
			m.Answered(message.Outcome{Kind: kind, At: 90, Code: "http_409", Detail: "already processed", RetryAfter: 30})
		}
	}
	stopped := func(_ *message.Batch, r *message.Record) { r.Stop, r.Code, r.Detail = true, "canceled", "enough" }
	late := func(_ *message.Batch, r *message.Record) { r.Expires = 100 }
	for name, tt := range map[string]struct {
		change func(*message.Batch, *message.Record)
		do     func(message.Transition)
		want   message.State
	}{
		"refused":                             {nil, answer("rejected"), message.Unknown},
		"refused as invalid":                  {nil, answer("invalid"), message.Unknown},
		"refused and canceled":                {stopped, answer("unauthorized"), message.Unknown},
		"throttled":                           {nil, answer("throttled"), message.Retrying},
		"throttled and canceled":              {stopped, answer("throttled"), message.Unknown},
		"throttled for the last time":         {func(_ *message.Batch, r *message.Record) { r.HopAttempts = 9 }, answer("unavailable"), message.Unknown},
		"its validity ran out in the queue":   {nil, answer("expired"), message.Unknown},
		"its validity ran out as it waited":   {late, message.Transition.Expire, message.Unknown},
		"it never left again":                 {nil, answer(message.NotStarted), message.Retrying},
		"it never left again and is canceled": {stopped, answer(message.NotStarted), message.Unknown},
		"canceled while it waited":            {nil, func(m message.Transition) { m.Cancel(m.Now, "enough") }, message.Unknown},
		"taken":                               {nil, answer("sent"), message.Sent},
		"again nobody can tell":               {nil, func(m message.Transition) { m.Ambiguous("http_500", ""); m.CannotTell(30, "why") }, message.Retrying},
		"again nobody can tell, and too late": {late, func(m message.Transition) { m.Ambiguous("http_500", ""); m.CannotTell(30, "why") }, message.Unknown},
		"its workflow was ended as it waited": {
			func(_ *message.Batch, r *message.Record) { r.State = message.Retrying },
			func(m message.Transition) {
				m.Close(message.UnrunOutcome{State: message.Canceled}, message.UnrunOutcome{Code: "lost"}, nil)
			}, message.Unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := repeated(tt.change)
			tt.do(m)
			require.Equal(t, tt.want, m.State)
			require.Zero(t, m.Hop, "no other account gets it")
			if m.State == message.Unknown {
				require.Equal(t, "unknown", m.Code)
				require.Equal(t, int64(100), m.Finished)
			}
			require.Equal(t, !m.State.Final(), m.Unresolved == 20)
		})
	}
	t.Run("a report that the repetition did not arrive starts no other hop", func(t *testing.T) {
		t.Parallel()
		m := repeated(func(b *message.Batch, r *message.Record) {
			b.AwaitReports = 500
			r.Early = &message.EarlyReport{State: message.Undelivered, At: 95, ProviderID: "p", Code: "gone"}
		})
		m.Answered(message.Outcome{Kind: "sent", At: 90, ProviderID: "p"})
		require.Equal(t, message.Undelivered, m.State)
	})
}

func TestAMessageThatItsProviderDoesNotHaveMayGoElsewhere(t *testing.T) {
	t.Parallel()
	m := repeated(nil)
	m.Ambiguous("http_500", "")
	require.Equal(t, int64(20), m.Since(), "the question covers every attempt that may have arrived")
	m.Absent(100, 30)
	require.Equal(t, message.Retrying, m.State)
	require.Zero(t, m.Unresolved)
	m.Answered(message.Outcome{Kind: "rejected", At: 110, Code: "why"})
	require.Equal(t, 1, m.Hop)

	spent := underWay(func(_ *message.Batch, r *message.Record) { r.HopAttempts, r.Hop = 3, 1 })
	spent.Batch.Policies["two"] = message.Policy{Attempts: 3}
	spent.Ambiguous("http_500", "")
	spent.Absent(100, 30)
	require.Equal(t, message.Failed, spent.State)
}

func TestAnUndeliveredMessageWhoseReportWasAwaitedGoesOnWhileItMay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*message.Batch, *message.Record)
		want   message.State
	}{
		"another account may try":    {func(*message.Batch, *message.Record) {}, message.Retrying},
		"its validity is just over":  {func(_ *message.Batch, r *message.Record) { r.Expires = 100 }, message.Undelivered},
		"there is no other account":  {func(b *message.Batch, r *message.Record) { b.Policies["two"], r.Hop = message.Policy{}, 1 }, message.Undelivered},
		"it was canceled":            {func(_ *message.Batch, r *message.Record) { r.Stop = true }, message.Undelivered},
		"its account has no reports": {func(b *message.Batch, _ *message.Record) { b.Policies["one"] = message.Policy{NoReports: true} }, message.Undelivered},
		"no report was awaited":      {func(b *message.Batch, _ *message.Record) { b.AwaitReports = 0 }, message.Undelivered},
	} {
		m := underWay(func(b *message.Batch, r *message.Record) {
			b.AwaitReports, r.Await, r.Sent, r.ProviderID = 500, 300, 80, "p"
			r.Early = &message.EarlyReport{State: message.Undelivered, At: 95, Code: "gone"}
			tt.change(b, r)
		})
		m.Report()
		require.Equal(t, tt.want, m.State, name)
		require.Equal(t, "gone", m.Code, name)
		require.Equal(t, tt.want == message.Retrying, m.Sent == 0 && m.ProviderID == "", name)
		require.Zero(t, m.Await, name)
	}
}

func TestAnAccountWithoutALimitMakesAsManyAttemptsAsItTakes(t *testing.T) {
	t.Parallel()
	m := underWay(func(b *message.Batch, r *message.Record) { b.Policies["one"], r.HopAttempts = message.Policy{}, 1000 })
	m.Answered(message.Outcome{Kind: "unavailable", At: 90})
	require.Equal(t, message.Retrying, m.State)
	require.Zero(t, m.Hop)
	m.Hop = 2
	require.Zero(t, m.Policy(), "there is no such hop")
}

func TestWhatExpiredSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	for want, rec := range map[string]message.Record{
		"its validity ran out before a provider took it":                                  {State: message.Scheduled},
		"its validity ran out before a provider took it, after http_503: no room":         {State: message.Retrying, Code: "http_503", Detail: "no room"},
		"its validity ran out while it was held: the credentials were refused (http_401)": {State: message.Accepted, Code: message.CodeHeld, Detail: "the credentials were refused (http_401)"},
	} {
		message.Transition{Record: &rec, Batch: &message.Batch{}, Now: 7}.Expire()
		require.Equal(t, message.Expired, rec.State)
		require.Equal(t, "expired", rec.Code)
		require.Equal(t, want, rec.Detail)
	}
}
