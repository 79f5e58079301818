package message_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

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

func TestALedgerFitsWhateverProvidersAnswer(t *testing.T) {
	t.Parallel()
	l := sentLedger(200)
	for i := range l.Records { // steps as long as they may be, and no texts
		for k := range 25 {
			l.Records[i].Note(message.Entry{At: int64(k%2) * 1e12, Hop: 7, Attempt: 100_000, Event: message.EventUnavailable})
		}
	}
	raw, err := json.Marshal(l)
	require.NoError(t, err)
	require.LessOrEqual(t, len(raw), message.MaxLarge)

	const payload = 2 << 20
	for i := range l.Records {
		r := &l.Records[i]
		r.ProviderID = strings.Repeat("<", message.MaxDetail)
		r.Early = &message.EarlyReport{
			State: message.Delivered, Hop: 2, At: 9, ProviderID: strings.Repeat(">", message.MaxDetail), Code: "c", Detail: strings.Repeat("&", message.MaxDetail),
		}
	}
	raw, err = json.Marshal(l)
	require.NoError(t, err)
	require.Less(t, len(raw), payload)
	require.Len(t, l.Records[7].Early.Detail, message.MaxDetail, "the records themselves stay as they are")
	var back message.Ledger
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, l.Records[7].ProviderID, back.Records[7].ProviderID)
	require.Equal(t, &message.EarlyReport{State: message.Delivered, Hop: 2, At: 9}, back.Records[7].Early, "what decides about the message is kept")
}

func TestALedgerKeepsReportsAwaitedAndInDoubt(t *testing.T) {
	t.Parallel()
	want := message.Ledger{V: 1, Records: []message.Record{
		{State: message.Sending, Await: 7, Unresolved: 3},
		{State: message.Sending, Early: &message.EarlyReport{State: message.Undelivered, Hop: 1, At: 5, ProviderID: "p", Code: "c", Detail: "d"}},
	}}
	var got message.Ledger
	again(t, want, &got)
	require.Equal(t, want, got)
	for _, bad := range []string{
		`{"n":1,"o":[{"i":1,"s":"sent"}]}`, `{"n":1,"o":[{"i":-1,"s":"sent"}]}`, `{"n":1,"o":[{"i":0}]}`, `{"n":1,"trails":{"texts":[""],"entries":[[],[]]}}`,
		`{"n":16777216}`, `{"n":1,"s":[12]}`, `{"n":1,"s":[-1]}`,
	} {
		require.Error(t, json.Unmarshal([]byte(bad), new(message.Ledger)), bad)
	}
}

func TestTheFirstRecordOfAMessageFollowsFromItsLine(t *testing.T) {
	t.Parallel()
	b := &message.Batch{CreatedAt: time.UnixMilli(1000), TTL: 50}
	b.Messages = []message.Message{{Route: 2, Due: 1100}, {Route: -1}}
	b.Messages[1].Problems.Add(1, "messages[1].to", message.CodeRequired, strings.Repeat("why ", 100))
	good, bad := b.Meta(0, &b.Messages[0]), b.Meta(1, &b.Messages[1])
	require.Equal(t, message.MessageMeta{Due: 1100, TTL: 50, Route: 2}, good)
	require.Equal(t, message.CodeRequired, bad.Code)
	require.Len(t, bad.Detail, message.MaxDetail)
	require.Contains(t, bad.Detail, "messages[1].to: why")

	rev := int64(1000 << message.RevShift)
	require.Equal(t, message.Record{Due: 1100, Next: 1100, Expires: 1150, Rev: rev}, good.FirstRecord(1000, 0))
	require.Equal(t, message.Record{Due: 1200, Next: 1200, Expires: 1250, Rev: rev}, good.FirstRecord(1000, 1200), "it was rescheduled")
	rejected := bad.FirstRecord(1000, 1200)
	require.Equal(t, message.Rejected, rejected.State)
	require.EqualValues(t, 1000, rejected.Finished)
	require.EqualValues(t, 1000, rejected.Due, "a reschedule does not move what was rejected")
}

func TestPackedNumbersAreReadAsTheyMayBeWritten(t *testing.T) {
	t.Parallel()
	indexes := func(packed string, n int) (out []int, err error) {
		var m message.MessageMetas
		err = json.Unmarshal(fmt.Appendf(nil, `{"n":%d,"i":%s}`, n, packed), &m)
		for _, l := range m {
			out = append(out, l.Index)
		}
		return out, err
	}
	for packed, want := range map[string][]int{
		`[5,[1,2]]`: {5, 6, 7}, `[[1,3]]`: {1, 2, 3}, "[ 0 ,\n[ 10 , 2 ]\t,\r -19]": {0, 10, 20, 1}, `[9,-9]`: {9, 0}, `[[5,1]]`: {5}, `[]`: {0, 0},
	} {
		got, err := indexes(packed, len(want))
		require.NoError(t, err, packed)
		require.Equal(t, want, got, packed)
	}
	for _, packed := range []string{
		`[[1,1]`, `[[1]]`, `[[]]`, `[[1,0]]`, `[[1,-1]]`, `[[1,1,1]]`, `[[[1,1]]]`, `["1"]`, `[1.5]`, `[1e2]`, `[true]`, `7`, `{"a":1}`, `[99999999999999999999]`,
	} {
		_, err := indexes(packed, 1)
		require.Error(t, err, packed)
	}
	_, err := indexes(`[[1,2]]`, 3)
	require.Error(t, err, "one is missing")
}
