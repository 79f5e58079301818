package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestAMessageThatIsHeldWaitsOrTakesAnotherAccount(t *testing.T) {
	t.Parallel()
	account := message.Holding{By: message.HeldByAccount, Account: true, Reason: "the key is refused"}
	everyone := message.Holding{By: message.HeldByPerson, Reason: "a pause for lunch"}
	for name, tt := range map[string]struct {
		held   message.Holding
		change func(*message.Batch, *message.Record)
		want   message.Record // State, Hop, Next, Code and Detail are compared
	}{
		"its account is held":                      {account, nil, message.Record{State: message.Retrying, Hop: 1, Next: 100}},
		"all are held":                             {everyone, nil, message.Record{State: message.Accepted, Next: 100, Code: "held", Detail: "a pause for lunch"}},
		"its account is, and there is no other":    {account, func(_ *message.Batch, r *message.Record) { r.Hop = 1 }, message.Record{State: message.Accepted, Hop: 1, Next: 100, Code: "held", Detail: account.Reason}},
		"its account is, and its validity is over": {account, func(_ *message.Batch, r *message.Record) { r.Expires = 100 }, message.Record{State: message.Accepted, Next: 100, Code: "held", Detail: account.Reason}},
		"its account is, and it may have arrived":  {account, func(_ *message.Batch, r *message.Record) { r.Unresolved = 5 }, message.Record{State: message.Accepted, Next: 100, Code: "held", Detail: account.Reason}},
		"it was canceled":                          {everyone, func(_ *message.Batch, r *message.Record) { r.Stop, r.Detail = true, "enough" }, message.Record{State: message.Canceled, Code: "canceled", Detail: "enough"}},
		"it was delivered":                         {everyone, func(_ *message.Batch, r *message.Record) { r.Early = &message.EarlyReport{State: message.Delivered} }, message.Record{State: message.Delivered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := underWay(tt.change)
			m.Hold(tt.held)
			require.Equal(t, tt.want, message.Record{State: m.State, Hop: m.Hop, Next: m.Next, Code: m.Code, Detail: m.Detail})
			if m.Code == "held" {
				m.Unhold()
				require.Equal(t, message.Accepted, m.State)
				require.Empty(t, m.Code+m.Detail)
			}
			require.Zero(t, m.Doubt)
		})
	}
	other := underWay(func(_ *message.Batch, r *message.Record) { r.Code, r.Detail = "http_503", "down" })
	other.Unhold()
	require.Equal(t, "http_503", other.Code, "that is not why it waits")
}

func TestAnAnswerThatConcernsTheAccountSaysNothingOfTheMessage(t *testing.T) {
	t.Parallel()
	held := message.Holding{By: message.HeldByAccount, Reason: "no"}
	m := underWay(nil)
	m.Answered(message.Outcome{Kind: "unauthorized", At: 90, Code: "http_401", Held: held})
	require.Equal(t, []int{1, 0}, []int{m.Attempts, m.HopAttempts}, "the attempt is not one of those that the account may make")
	require.Equal(t, message.Accepted, m.State)

	m = underWay(nil)
	m.Answered(message.Outcome{Kind: message.NotStarted, At: 90, Held: held})
	require.Equal(t, []int{0, 0}, []int{m.Attempts, m.HopAttempts}, "there was none")
	require.Equal(t, message.Accepted, m.State)
}

func TestAHoldIsShownOnlyWhereThereIsOne(t *testing.T) {
	t.Parallel()
	require.Nil(t, message.Holding{Reason: "no"}.View())
	require.Equal(t, &message.HoldView{By: "tenant", Reason: "no", Since: time.UnixMilli(5).UTC()},
		message.Holding{By: message.HeldByTenant, Reason: "no", Since: 5}.View())
}

func TestHowAMessageEndsWhoseRunWasClosed(t *testing.T) {
	t.Parallel()
	rest := message.UnrunOutcome{State: message.Failed, Code: "segment_lost", Detail: "lost"}
	canceled := message.UnrunOutcome{State: message.Canceled, Detail: "it was ended"}
	expired := message.UnrunOutcome{State: message.Expired, Code: "expired", Detail: "the store was away"}
	lost := message.UnrunOutcome{Code: "lost", Detail: "it may have left"}
	for name, tt := range map[string]struct {
		rec  message.Record
		rest message.UnrunOutcome
		stop *message.Cancellation
		want message.Record // State, Finished, Code and Detail are compared
	}{
		"it had ended":                       {message.Record{State: message.Sent, Finished: 50}, rest, nil, message.Record{State: message.Sent, Finished: 50}},
		"its report was awaited":             {message.Record{State: message.Sending, Await: 200}, rest, nil, message.Record{State: message.Sent, Finished: 100}},
		"an attempt was under way":           {message.Record{State: message.Sending}, rest, nil, message.Record{State: message.Unknown, Finished: 100, Code: "lost", Detail: "it may have left"}},
		"and a report came":                  {message.Record{State: message.Sending, Attempts: 1, Early: &message.EarlyReport{State: message.Delivered}}, rest, nil, message.Record{State: message.Delivered, Finished: 100}},
		"it was in doubt":                    {message.Record{State: message.Sending, Doubt: 60}, rest, nil, message.Record{State: message.Unknown, Finished: 100, Code: "lost", Detail: "it may have left"}},
		"it waited in doubt":                 {message.Record{State: message.Retrying, Doubt: 60}, rest, nil, message.Record{State: message.Unknown, Finished: 100, Code: "lost", Detail: "it may have left"}},
		"it was canceled as it waited":       {message.Record{State: message.Retrying, Stop: true, Detail: "enough", Expires: 500}, rest, nil, message.Record{State: message.Canceled, Finished: 100, Code: "canceled", Detail: "enough"}},
		"it was canceled by name":            {message.Record{State: message.Accepted, Expires: 500}, rest, &message.Cancellation{At: 70, Reason: "by name"}, message.Record{State: message.Canceled, Finished: 70, Code: "canceled", Detail: "by name"}},
		"it was canceled by name, too late":  {message.Record{State: message.Accepted, Expires: 70}, rest, &message.Cancellation{At: 70, Reason: "by name"}, message.Record{State: message.Expired, Finished: 70, Code: "expired", Detail: "its validity ran out before a provider took it"}},
		"its validity had run out":           {message.Record{State: message.Scheduled, Expires: 100}, canceled, nil, message.Record{State: message.Expired, Finished: 100, Code: "expired", Detail: "its validity ran out before a provider took it"}},
		"all of them have expired":           {message.Record{State: message.Scheduled, Expires: 90}, expired, nil, message.Record{State: message.Expired, Finished: 100, Code: "expired", Detail: "the store was away"}},
		"it had not left":                    {message.Record{State: message.Scheduled, Expires: 101}, rest, nil, message.Record{State: message.Failed, Finished: 100, Code: "segment_lost", Detail: "lost"}},
		"it had not left, and all are ended": {message.Record{State: message.Scheduled, Expires: 101}, canceled, nil, message.Record{State: message.Canceled, Finished: 100, Code: "canceled", Detail: "it was ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := tt.rec
			message.Transition{Record: &rec, Batch: &message.Batch{}, Now: 100}.Close(tt.rest, lost, tt.stop)
			require.Equal(t, tt.want, message.Record{State: rec.State, Finished: rec.Finished, Code: rec.Code, Detail: rec.Detail})
		})
	}
}

func TestWhatIsDoneWhereNobodyCanTell(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change     func(*message.Batch, *message.Record)
		want       message.State
		unresolved int64
		next       int64
	}{
		"the account holds":                  {nil, message.Unknown, 0, 0},
		"it sends again":                     {resends(nil), message.Retrying, 50, 130},
		"it sends again what was before":     {resends(func(r *message.Record) { r.Unresolved = 20 }), message.Retrying, 20, 130},
		"it was canceled":                    {resends(func(r *message.Record) { r.Stop = true }), message.Unknown, 0, 0},
		"its attempts are used up":           {resends(func(r *message.Record) { r.HopAttempts = 3 }), message.Unknown, 0, 0},
		"its validity is over":               {resends(func(r *message.Record) { r.Expires = 100 }), message.Unknown, 0, 0},
		"a report says that it did not come": {resends(func(r *message.Record) { r.Early = &message.EarlyReport{State: message.Undelivered} }), message.Undelivered, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := underWay(tt.change)
			m.CannotTell(30, "the listing is too short")
			require.Equal(t, tt.want, m.State)
			require.Equal(t, tt.unresolved, m.Unresolved)
			require.Equal(t, tt.next, m.Next)
			if m.State == message.Unknown {
				require.Equal(t, "the listing is too short", m.Detail)
			}
		})
	}
}

func resends(change func(*message.Record)) func(*message.Batch, *message.Record) {
	return func(b *message.Batch, r *message.Record) {
		b.Policies["one"] = message.Policy{Attempts: 3, OnUnknown: message.Resend}
		if change != nil {
			change(r)
		}
	}
}

func TestAKeptReportIsOfTheAttemptThatItsIDNames(t *testing.T) {
	t.Parallel()
	undelivered := func(id string) func(*message.Batch, *message.Record) {
		return func(_ *message.Batch, r *message.Record) {
			r.Early = &message.EarlyReport{State: message.Undelivered, At: 80, ProviderID: id, Code: "gone", Detail: "nobody"}
		}
	}
	for name, tt := range map[string]struct {
		change func(*message.Batch, *message.Record)
		id     string
		want   message.State
	}{
		"the same id":         {undelivered("p"), "p", message.Undelivered},
		"another id":          {undelivered("q"), "p", message.Sent},
		"the report has none": {undelivered(""), "p", message.Undelivered},
		"the answer has none": {undelivered("q"), "", message.Undelivered},
		"another id, but it was delivered": {func(_ *message.Batch, r *message.Record) {
			r.Early = &message.EarlyReport{State: message.Delivered, ProviderID: "q"}
		}, "p", message.Delivered},
	} {
		m := underWay(tt.change)
		m.Accept(tt.id, 90)
		require.Equal(t, tt.want, m.State, name)
		require.Nil(t, m.Early, name)
		require.EqualValues(t, 90, m.Sent, name)
	}
	for name, tt := range map[string]struct{ at, want int64 }{
		"its own time": {80, 80}, "no time": {0, 100}, "a time that is yet to come": {101, 100}, "this moment": {100, 100},
	} {
		m := underWay(undelivered("p"))
		m.Early.At = tt.at
		m.Report()
		last := m.Trail[len(m.Trail)-1]
		require.Equal(t, tt.want, last.At, name)
		require.Equal(t, []string{"gone", "nobody"}, []string{last.Code, last.Detail}, name)
		require.EqualValues(t, 50, m.Sent, "when the attempt began")
		require.Equal(t, "p", m.ProviderID)
	}
	canceled := underWay(func(b *message.Batch, r *message.Record) {
		b.AwaitReports, r.Stop, r.Code, r.Detail = 500, true, "canceled", "enough"
	})
	canceled.Accept("p", 90)
	require.Equal(t, "enough", canceled.Detail, "why it was canceled is kept while its report is awaited")
}
