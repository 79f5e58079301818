package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/workflows/contract"
)

func TestAGroupSendsWhatItsMessagesWouldAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{Concurrency: 1}, 9, func(i int, m *message.Message) {
			m.Reference = "c-1"
			if i == 4 {
				m.Metadata = json.RawMessage(`{"own":1}`)
			}
		})
		l.in.Spans = [][2]int{{3, 5}, {7, 8}, {0, 1}}
		due := time.Now()
		b := environment{workflow: "batch-acme/spring~0001", startToClose: time.Minute}
		res, err := execute(t, b, l.acts.SendGroup, l.in)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"sent": 4}, kinds(res.Outcomes))
		var order []int
		for _, m := range s.seen {
			order = append(order, m.Index)
		}
		require.Equal(t, []int{3, 4, 7, 0}, order)
		require.JSONEq(t, `{"batch":1}`, string(s.seen[0].Metadata))
		want := message.Outgoing{
			ID: message.KeyOf("batch-acme/spring").MessageID(4), Batch: "spring", Tenant: "acme", Dialect: "volley", Index: 4,
			To: "+15550000004", Reference: "c-1", Metadata: json.RawMessage(`{"own":1}`), Channels: []string{"SMS"},
			Content: json.RawMessage(`{"text":"Hi Ann 4"}`), Text: "Hi Ann 4",
			Due: time.UnixMilli(due.UnixMilli()), ExpiresAt: time.UnixMilli(due.UnixMilli()).Add(time.Hour),
		}
		require.Equal(t, want, s.seen[1])

		alone := contract.SendInput{
			V: message.Version, Dialect: "volley", Index: 4, Account: "hook", Channels: []string{"SMS"}, Attempt: 1,
			Due: want.Due.UnixMilli(), Expires: want.ExpiresAt.UnixMilli(),
			Stored: &contract.Stored{Dir: l.in.Dir, Segment: 1, Pos: 4},
		}
		one, err := execute(t, b, l.acts.Send, alone)
		require.NoError(t, err)
		require.Equal(t, contract.KindSent, one.Kind)
		require.Equal(t, want, s.seen[4])
	})
}

func TestOutcomesStandInTheOrderOfTheGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{answer: func(_ context.Context, m message.Outgoing) (message.Receipt, error) {
			time.Sleep(time.Duration(10-m.Index) * 100 * time.Millisecond)
			if m.Index == 3 {
				return message.Receipt{}, &provider.Error{Kind: provider.Throttled, Code: "E1", Detail: "why", RetryAfter: time.Minute}
			}
			if m.Index == 4 {
				panic("a secret")
			}
			return message.Receipt{ProviderID: "p-" + m.To}, nil
		}}
		began := time.Now()
		outcomes := newLot(t, s, provider.Account{}, 10, nil).send(t)
		for i, o := range outcomes {
			at := began.Add(time.Duration(10-i) * 100 * time.Millisecond).UnixMilli()
			want := contract.SendResult{V: message.Version, Kind: "sent", ProviderID: fmt.Sprintf("p-+1555%07d", i), At: at}
			switch i {
			case 3:
				want = contract.SendResult{V: message.Version, Kind: "throttled", Code: "E1", Detail: "why", RetryAfter: 60_000, At: at}
			case 4:
				want.Kind, want.ProviderID, want.Code, want.Detail = "ambiguous", "", "internal", o.Detail
				require.NotContains(t, o.Detail, "secret")
			}
			require.Equal(t, want, o)
		}
	})
}

func TestMessagesThatCannotLeaveMakeNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{Rate: 1}, 40, func(i int, m *message.Message) {
			switch {
			case i < 30:
				m.TTL = 1 // over when the group begins
			case i == 30:
				m.Params = nil
			}
		})
		l.in.Spans[0][1] = 41 // a position that the segment does not have
		time.Sleep(time.Second)
		began := time.Now()
		require.Equal(t, map[string]int{"expired": 30, "invalid " + message.CodeParameter: 1, "sent": 9, "rejected store": 1}, kinds(l.send(t)))
		require.Equal(t, 9, s.requests())
		require.Equal(t, 8*time.Second, time.Since(began), "only requests use the rate up")
	})
}

func TestAMessageThatExpiresWhileItWaitsMakesNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := taking(10 * time.Second)
		l := newLot(t, s, provider.Account{Concurrency: 2}, 6, func(i int, m *message.Message) {
			if i > 3 {
				m.TTL = 15_000
			}
		})
		require.Equal(t, map[string]int{"sent": 4, "expired": 2}, kinds(l.send(t)))
		require.Equal(t, 4, s.requests())
	})
}

func TestADueTimeOfTheGroupMovesTheValidityAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{}, 1, nil)
		time.Sleep(2 * time.Hour)
		require.Equal(t, map[string]int{"expired": 1}, kinds(l.send(t)))
		l.in.Due = time.Now().UnixMilli()
		require.Equal(t, map[string]int{"sent": 1}, kinds(l.send(t)))
		require.Equal(t, time.UnixMilli(l.in.Due), s.seen[0].Due)
		require.Equal(t, time.UnixMilli(l.in.Due).Add(time.Hour), s.seen[0].ExpiresAt)
	})
}

func TestAnAccountThatIsNotThereEndsTheGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := &sender{answer: func(context.Context, message.Outgoing) (message.Receipt, error) {
			if n++; n == 10 {
				return message.Receipt{}, nil // the row begins anew
			}
			return message.Receipt{}, &provider.Error{Kind: provider.Unavailable, Code: "http_503"}
		}}
		l := newLot(t, s, provider.Account{Concurrency: 1}, 100, nil)
		require.Equal(t, map[string]int{"sent": 1, "unavailable http_503": 29, "not_started": 70}, kinds(l.send(t)))
		require.Equal(t, 30, s.requests())
	})
}

func TestAGroupOfAnAccountThatTheWorkerDoesNotHave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, &sender{}, provider.Account{}, 50, nil)
		l.acts = activities.New(activities.Options{Store: l.store, Heartbeats: l.beats})
		require.Equal(t, map[string]int{"unavailable no_account": 20, "not_started": 30}, kinds(l.send(t)))
	})
}

func TestAGroupStopsInTimeForItsAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := taking(time.Second)
		l := newLot(t, s, provider.Account{Concurrency: 1}, 30, nil)
		res, err := execute(t, environment{startToClose: 19500 * time.Millisecond}, l.acts.SendGroup, l.in)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"sent": 5, "not_started": 25}, kinds(res.Outcomes))
	})
}

func TestAWorkerThatStopsWaitsForWhatHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := taking(8 * time.Second)
		l := newLot(t, s, provider.Account{Concurrency: 3}, 30, nil)
		began := time.Now()
		time.AfterFunc(10*time.Second, l.acts.Drain)
		require.Equal(t, map[string]int{"sent": 6, "not_started": 24}, kinds(l.send(t)))
		require.Equal(t, 16*time.Second, time.Since(began))
	})
}

func TestAStoreThatHasLostAGroupFailsItAndOneThatIsAwayDelaysIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		l := newLot(t, s, provider.Account{}, 3, nil)
		l.in.Segment = 2
		require.Equal(t, map[string]int{"rejected store": 3}, kinds(l.send(t)))
		l.in.Segment, l.in.Dir = 1, "default/2026-01-01/other~00000000"
		require.Equal(t, map[string]int{"not_started": 3}, kinds(l.send(t)))
		require.NoError(t, l.store.Close())
		require.Equal(t, map[string]int{"not_started": 3}, kinds(l.send(t)))
		require.Zero(t, s.requests())
	})
}
