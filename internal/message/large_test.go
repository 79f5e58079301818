package message_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestLinesAndLedgersComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 7, 1000} {
		lines := make(message.MessageMetas, n)
		ledger := message.Ledger{V: 1, Records: make([]message.Record, n)}
		for i := range n {
			lines[i] = message.MessageMeta{
				Index: rnd.IntN(1 << 20), Due: rnd.Int64N(1 << 41), TTL: rnd.Int64N(1 << 30),
				Route: rnd.IntN(3) - 1, Code: []string{"", "required"}[rnd.IntN(2)], Detail: []string{"", "x", "y"}[rnd.IntN(3)],
			}
			r := &ledger.Records[i]
			*r = message.Record{
				State: message.State(rnd.IntN(12)), Hop: rnd.IntN(2), Attempts: rnd.IntN(5), HopAttempts: rnd.IntN(3), Asked: rnd.IntN(2),
				Next: rnd.Int64N(1 << 41), Due: rnd.Int64N(1 << 41), Expires: rnd.Int64N(1 << 41), Began: rnd.Int64N(1 << 41), Doubt: rnd.Int64N(2),
				Stop: rnd.IntN(2) == 0, Sent: rnd.Int64N(1 << 41), Finished: rnd.Int64N(1 << 41), Rev: rnd.Int64N(1 << 50),
				ProviderID: []string{"", "p-1"}[rnd.IntN(2)], Code: []string{"", "c"}[rnd.IntN(2)], Detail: []string{"", "d"}[rnd.IntN(2)],
			}
			if rnd.IntN(2) == 0 {
				r.Trail = []message.Entry{{At: 5, Attempt: 1, Event: message.EventSent}}
			}
		}
		var gotLines message.MessageMetas
		again(t, lines, &gotLines)
		require.Equal(t, lines, gotLines)
		var got message.Ledger
		again(t, ledger, &got)
		require.Equal(t, ledger, got)
	}
}

func again(t *testing.T, v, out any) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, out))
}

// A thousand messages that were sent, each with an id of its provider's, fit into
// a payload of a large batch with room to spare.
func TestALedgerIsSmall(t *testing.T) {
	t.Parallel()
	l := sentLedger(200)
	raw, err := json.Marshal(l)
	require.NoError(t, err)
	require.Less(t, len(raw), 110_000)
	for i := range l.Records { // the worst that providers may answer
		for k := range 25 {
			l.Records[i].Note(message.Entry{At: int64(k), Attempt: k, Event: message.EventUnavailable, Code: "code", Detail: fmt.Sprintf("%0200d", i*100+k)})
		}
		l.Records[i].Detail = fmt.Sprintf("%0200d", i)
	}
	raw, err = json.Marshal(l)
	require.NoError(t, err)
	require.LessOrEqual(t, len(raw), message.MaxLarge+1000)
	var back message.Ledger
	require.NoError(t, json.Unmarshal(raw, &back))
	for i := range back.Records {
		require.Equal(t, l.Records[i].ProviderID, back.Records[i].ProviderID)
		require.Equal(t, message.Sent, back.Records[i].State)
	}
}

func TestDamagedPacksAreErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{"n":2,"i":[1]}`, `{"n":1,"i":[[1,0]]}`, `{"n":1,"k":[3]}`, `{"n":-1}`, `{"n":1,"i":[[1,2,3]]}`, `{"n":1,"i":["x"]}`, `{"n":99999999999}`,
	} {
		require.Error(t, json.Unmarshal([]byte(bad), new(message.MessageMetas)), bad)
	}
	for _, bad := range []string{`{"n":1,"whole":true,"s":[77]}`, `{"n":1,"p":[]}`, `{"n":2,"p":["a"]}`, `{"n":1,"s":[[1,2]],"x":[1.5]}`} {
		require.Error(t, json.Unmarshal([]byte(bad), new(message.Ledger)), bad)
	}
}

func sentLedger(span int64) message.Ledger {
	l := message.Ledger{V: 1, Records: make([]message.Record, 1000)}
	for i := range l.Records {
		at := int64(1_790_000_000_000) + int64(i)*span%9973
		l.Records[i] = message.Record{
			State: message.Sent, Attempts: 1, HopAttempts: 1, Due: 1_790_000_000_000, Expires: 1_790_000_000_000 + 129_600_000,
			Began: at, Sent: at + 7, Finished: at + 31, Rev: at<<10 + int64(i), ProviderID: fmt.Sprintf("%036d", i),
			Trail: []message.Entry{{At: at + 7, Attempt: 1, Event: message.EventSent}},
		}
	}
	return l
}

func BenchmarkLedger(b *testing.B) {
	l := sentLedger(200)
	raw, _ := json.Marshal(l)
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(l)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var back message.Ledger
			_ = json.Unmarshal(raw, &back)
		}
	})
}
