package message_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// The server's limit of one payload.
const payloadLimit = 2 << 20

func TestTheWorstStateAndResultOfAThousandMessagesFitIntoOnePayload(t *testing.T) {
	t.Parallel()
	const input = 1 << 20
	key := message.KeyOf("batch-b")
	records := make([]message.Record, 1000)
	rows := make(message.Rows, 1000)
	trails := make(message.Trails, 1000)
	for i := range records {
		r := &records[i]
		*r = message.Record{
			State: message.Unknown, Hop: 7, Attempts: 100_000, HopAttempts: 100_000, Asked: 100_000, Stop: true,
			Next: 1e13, Due: 1e13, Expires: 1e13, Began: 1e13, Doubt: 1e13, Sent: 1e13, Finished: 1e13, Rev: 1e9,
			ProviderID: strings.Repeat("p", message.MaxDetail), Code: message.CleanCode(strings.Repeat("<x", message.MaxCode)),
			Detail: strings.Repeat("<", message.MaxDetail),
		}
		for j := range 30 {
			r.Note(message.Entry{
				At: 1e12 + int64(j)*1e8, Hop: 7, Attempt: 100_000 + j, Event: message.EventUnavailable,
				Code: r.Code, Detail: fmt.Sprintf("%d-%d%s", i, j, strings.Repeat("<", 200)),
			})
		}
		trails[i] = r.Trail
		ref := strings.Repeat("r", 200)
		rows[i] = message.Row{
			Index: i, ID: key.MessageID(i), Reference: &ref, To: strings.Repeat("t", input/1000-300), State: message.Failed,
			DueAt: message.At(1e13), ExpiresAt: message.At(2e13), SentAt: message.At(1e13), FinishedAt: message.At(1e13),
			Attempts: 100_000, Code: r.Code, Detail: r.Detail, Rev: 1e9,
		}
	}
	kept, cut := message.FitRecords(records, input, 0)
	state, err := json.Marshal(map[string]any{"records": kept, "trails": cut})
	require.NoError(t, err)
	require.Less(t, len(state)+input, payloadLimit)
	require.NotEmpty(t, cut[0])
	require.Len(t, records[0].Detail, message.MaxDetail, "the records themselves stay as they are")

	for i := range rows { // what is left of the input's size is the batch's metadata
		rows[i].To = strings.Repeat("t", input/2000-300)
	}
	st := message.Status{Metadata: json.RawMessage(`"` + strings.Repeat("m", input/2) + `"`)}
	cut = message.FitRows(&st, rows, trails, 0)
	result, err := json.Marshal(message.Result{Status: st, Rows: rows, Trails: cut})
	require.NoError(t, err)
	require.Less(t, len(result), payloadLimit-100_000)
	require.Equal(t, trails[0][len(trails[0])-1].At, cut[0][len(cut[0])-1].At, "the end of a trail is kept")
}

func TestOrdinaryTrailsAreKeptWhole(t *testing.T) {
	t.Parallel()
	records := make([]message.Record, 1000)
	for i := range records {
		for j := range 20 {
			records[i].Note(message.Entry{At: 1e12 + int64(j), Event: message.EventThrottled, Code: "http_429", Detail: "slow down"})
		}
		records[i].Detail = "slow down"
	}
	kept, trails := message.FitRecords(records, 300_000, 0)
	require.Equal(t, "slow down", kept[7].Detail)
	require.Len(t, trails[7], 20)
	trails = message.FitRows(new(message.Status), make(message.Rows, 1000), trails, 0)
	require.Len(t, trails[7], 20)
}

// kept is the most that may stand beside a record, or a row, so that its detail is still
// kept whole.
func kept(t *testing.T, fits func(used int) (detail string)) int {
	t.Helper()
	least, most := 1_898_500, 1_900_000
	require.Len(t, fits(least), message.MaxDetail)
	require.Less(t, len(fits(most)), message.MaxDetail)
	for most-least > 1 {
		if used := (least + most) / 2; len(fits(used)) == message.MaxDetail {
			least = used
		} else {
			most = used
		}
	}
	return least
}

func TestEveryTextOfARecordTakesFromTheRoomOfItsDetail(t *testing.T) {
	t.Parallel()
	room := func(change func(r *message.Record)) int {
		r := message.Record{Detail: strings.Repeat("d", message.MaxDetail)}
		change(&r)
		return kept(t, func(used int) string {
			cut, _ := message.FitRecords([]message.Record{r}, used, 0)
			return cut[0].Detail
		})
	}
	none := room(func(*message.Record) {})
	r := message.Record{Detail: strings.Repeat("d", message.MaxDetail)}
	require.Equal(t, 1_900_000, none+r.Size()+32, "the record itself, and one step of its trail, are left room for")
	early := room(func(r *message.Record) { r.Early = &message.EarlyReport{} })
	require.Less(t, early, none)
	for name, tt := range map[string]struct {
		from   int
		change func(r *message.Record)
	}{
		"code":                     {none, func(r *message.Record) { r.Code = "1234567" }},
		"the provider's id":        {none, func(r *message.Record) { r.ProviderID = "1234567" }},
		"a report's code":          {early, func(r *message.Record) { r.Early = &message.EarlyReport{Code: "1234567"} }},
		"a report's provider's id": {early, func(r *message.Record) { r.Early = &message.EarlyReport{ProviderID: "1234567"} }},
		"a report's detail":        {early, func(r *message.Record) { r.Early = &message.EarlyReport{Detail: "1234567"} }},
	} {
		require.Equal(t, tt.from-7, room(tt.change), name)
	}
}

func TestEveryTextOfARowTakesFromTheRoomOfItsDetail(t *testing.T) {
	t.Parallel()
	// What else there is is another row here, as long as asked for.
	fits := func(change func(r *message.Row), used int) string {
		r := message.Row{Detail: strings.Repeat("d", message.MaxDetail)}
		change(&r)
		rows := message.Rows{r, {To: strings.Repeat("t", used)}}
		message.FitRows(new(message.Status), rows, message.Trails{nil, nil}, 0)
		return rows[0].Detail
	}
	none := kept(t, func(used int) string { return fits(func(*message.Row) {}, used) })
	seven := "1234567"
	for name, tt := range map[string]struct {
		change func(r *message.Row)
		takes  int
	}{
		"to":                {func(r *message.Row) { r.To = seven }, 7},
		"given":             {func(r *message.Row) { r.Given = seven }, 7},
		"channel":           {func(r *message.Row) { r.Channel = seven }, 7},
		"account":           {func(r *message.Row) { r.Account = seven }, 7},
		"the provider's id": {func(r *message.Row) { r.ProviderID = seven }, 7},
		"code":              {func(r *message.Row) { r.Code = seven }, 7},
		"reference, which other rows do not have": {func(r *message.Row) { r.Reference = &seven }, 9},
	} {
		require.Len(t, fits(tt.change, none-tt.takes), message.MaxDetail, name)
		require.Len(t, fits(tt.change, none-tt.takes+1), 40, name)
	}
}

// What is left of a trail when there is room for a number of its steps: up to five from
// its beginning, at most half of them, and the rest from its end.
func TestATrailIsCutInItsMiddle(t *testing.T) {
	t.Parallel()
	const size, noText = 32, 3 // of a step, and of the empty text
	cut := func(room int, records ...message.Record) message.Trails {
		used := 1_900_000 - room
		for _, r := range records {
			r.Trail = nil
			used -= r.Size()
		}
		_, trails := message.FitRecords(records, used, 0)
		return trails
	}
	var whole message.Record
	for i := range message.TrailHead + message.TrailTail {
		whole.Note(message.Entry{At: int64(i), Event: message.EventThrottled})
	}
	times := func(trail []message.Entry) (at []int64) {
		for _, e := range trail {
			at = append(at, e.At)
		}
		return at
	}
	require.Len(t, cut(noText+20*size, whole)[0], 20)
	for n, want := range map[int][]int64{
		19: {0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 10: {0, 1, 2, 3, 4, 15, 16, 17, 18, 19}, 9: {0, 1, 2, 3, 15, 16, 17, 18, 19},
		3: {0, 18, 19}, 2: {0, 19}, 1: {19}, 0: nil,
	} {
		require.Equal(t, want, times(cut(noText+n*size, whole)[0]), "%d steps", n)
		require.Len(t, cut(noText+n*size+size-1, whole)[0], n, "%d steps and nearly one more", n)
	}
	require.Empty(t, cut(-5, whole)[0])
	short := message.Record{Trail: whole.Trail[:3]}
	two := cut(noText+10*size, whole, short)
	require.Equal(t, []int64{0, 1, 17, 18, 19}, times(two[0]), "each has the same room")
	require.Equal(t, times(short.Trail), times(two[1]))

	// Texts stay while they take no more than half of the room.
	said := message.Record{Trail: []message.Entry{{At: 1, Detail: strings.Repeat("x", 40)}, {At: 2, Detail: strings.Repeat("x", 40)}, {At: 3}}}
	texts := noText + 43
	for name, tt := range map[string]struct {
		room int
		want []message.Entry
	}{
		"all of it":         {texts + 3*size, said.Trail},
		"one step less":     {2 * texts, []message.Entry{said.Trail[2]}},
		"and no texts then": {2*texts - 1, []message.Entry{{At: 1}, {At: 3}}},
	} {
		require.Equal(t, tt.want, cut(tt.room, said)[0], name)
	}
}

func TestTheSizeOfARecordIsThatOfItsJSON(t *testing.T) {
	t.Parallel()
	nothing := new(message.Record).Size()
	for _, text := range []string{"", "abc", " ~!#%';=?A[]^_`{|}", `"\`, "<>&", "\x01\x1f", "é€😀", "\u2027\u2028\u2029\u202a", "\xff\xc3", "a\uFFFDb"} {
		raw, err := json.Marshal(text)
		require.NoError(t, err)
		want := nothing + len(raw) - 2
		require.Equal(t, want, (&message.Record{Detail: text}).Size(), "%q", text)
		require.Equal(t, want, (&message.Record{Code: text}).Size(), "%q", text)
		require.Equal(t, want, (&message.Record{ProviderID: text}).Size(), "%q", text)
	}
	early := (&message.Record{Early: &message.EarlyReport{}}).Size()
	require.Equal(t, early+6, (&message.Record{Early: &message.EarlyReport{Code: "12", ProviderID: "3", Detail: "456"}}).Size())
	step := (&message.Record{Trail: []message.Entry{{}}}).Size()
	require.Equal(t, nothing+2*(step-nothing)+5, (&message.Record{Trail: []message.Entry{{Code: "12"}, {Detail: "345"}}}).Size())

	var all message.Record
	all.Note(message.Entry{At: 1e12, Hop: 7, Attempt: 1000, Event: message.EventUnavailable, Code: "c", Detail: "d"})
	raw, err := json.Marshal(all)
	require.NoError(t, err)
	require.GreaterOrEqual(t, all.Size(), len(raw))
}

func TestAnObjectIsClippedToItsFirstMembers(t *testing.T) {
	t.Parallel()
	const object = `{"a":1,"b":[1,2],"c":"x"}`
	for room, want := range map[int]string{
		0: "", 6: "", 7: `{"a":1}`, 16: `{"a":1}`, 17: `{"a":1,"b":[1,2]}`, 24: `{"a":1,"b":[1,2]}`, 25: object, 100: object,
	} {
		require.Equal(t, want, string(message.ClipObject(json.RawMessage(object), room)), "%d bytes", room)
	}
	for _, raw := range []string{``, `[1]`, `7`, `{}`, `null`, `{"a"`} {
		require.Nil(t, message.ClipObject(json.RawMessage(raw), 100), raw)
	}
	require.Equal(t, `{"a":"\u003c"}`, string(message.ClipObject(json.RawMessage(`{"a":"<"}`), 14)), "escapes count as they are stored")
	require.Nil(t, message.ClipObject(json.RawMessage(`{"a":"<"}`), 13))
}

func TestWhatIsCutFitsIntoThePayloadsOfAServerThatTakesLess(t *testing.T) {
	t.Parallel()
	require.Zero(t, message.RoomOf(0))
	require.Zero(t, message.RoomOf(2<<20))
	const n = 400
	room := message.RoomOf(300 << 10)
	require.Less(t, message.LeastRoom(n), room)
	records, rows := make([]message.Record, n), make(message.Rows, n)
	for i := range records {
		records[i] = message.Record{
			State: message.Failed, ProviderID: strings.Repeat("p", message.MaxDetail), Code: strings.Repeat("c", message.MaxCode),
			Detail: strings.Repeat("d", message.MaxDetail),
		}
		for j := range 20 {
			records[i].Note(message.Entry{At: 1e12 + int64(j), Event: message.EventUnavailable, Detail: fmt.Sprint(i, j, strings.Repeat("d", 100))})
		}
		rows[i] = message.Row{Index: i, State: message.Failed, ProviderID: records[i].ProviderID, Code: records[i].Code, Detail: records[i].Detail}
	}
	size := func(room int) (state, result int) {
		kept, trails := message.FitRecords(records, 0, room)
		raw, err := json.Marshal(map[string]any{"records": kept, "trails": trails})
		require.NoError(t, err)
		out, st := slices.Clone(rows), message.Status{}
		trails = message.FitRows(&st, out, message.TrailsOf(records), room)
		res, err := json.Marshal(message.Result{Status: st, Rows: out, Trails: trails})
		require.NoError(t, err)
		return len(raw), len(res)
	}
	state, result := size(0)
	require.Greater(t, state, 300<<10)
	require.Greater(t, result, 300<<10)
	state, result = size(room)
	require.Less(t, state, room)
	require.Less(t, result, room)
}

func TestAPageEndsWhereItsRowsHaveNoMoreRoom(t *testing.T) {
	t.Parallel()
	ask := func(room int, cursor string) message.Page {
		p, err := message.Pages(message.PageQuery{Room: room, Cursor: cursor}, 10,
			func(int) (message.State, int64) { return message.Failed, 1 },
			func(i int) message.Row { return message.Row{Index: i, Detail: strings.Repeat("d", message.MaxDetail)} })
		require.NoError(t, err)
		return p
	}
	require.Len(t, ask(0, "").Messages, 10)
	var seen []int
	for cursor, page := "", (message.Page{}); ; cursor = page.Next {
		page = ask(2_000, cursor)
		raw, err := json.Marshal(page.Messages)
		require.NoError(t, err)
		require.Less(t, len(raw), 2_000+10)
		for _, row := range page.Messages {
			seen = append(seen, row.Index)
		}
		if page.Next == "" {
			break
		}
	}
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, seen)
	require.Len(t, ask(1, "").Messages, 1, "there is always one")
}
