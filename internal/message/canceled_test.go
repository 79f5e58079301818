package message_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestCancellationsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, c := range []message.Cancellations{
		{},
		{{Index: 3, At: 1_700_000_000_000, Reason: "asked"}},
		{{Index: message.MaxIndex, At: 9}, {Index: 0, At: 5, Reason: "asked"}, {Index: 7, At: 5, Reason: "ä\x01"}, {Index: 8, At: 5, Reason: "asked"}},
	} {
		data, err := json.Marshal(c)
		require.NoError(t, err)
		var got message.Cancellations
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, c, got)
	}
	for _, text := range []string{
		`[]`, `{"v":2}`, `{"v":1,"n":-1}`, `{"v":1,"n":100000000}`, `{"v":1,"n":2,"i":[1]}`, `{"v":1,"n":1,"i":[-1]}`,
		`{"v":1,"n":1,"i":[16777216]}`, `{"v":1,"n":1,"e":[1]}`, `{"v":1,"n":1,"e":[-1],"texts":["a"]}`,
	} {
		var got message.Cancellations
		require.Error(t, json.Unmarshal([]byte(text), &got), text)
	}
}

func TestTheUnionOfCancellationsIsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var all message.Cancellations
	for range 200 {
		all = append(all, message.Cancellation{Index: random.IntN(50), At: random.Int64N(20), Reason: string(rune('a' + random.IntN(3)))})
	}
	want := all.Union()
	for i, c := range want {
		require.True(t, i == 0 || c.At > want[i-1].At || c.At == want[i-1].At && c.Index > want[i-1].Index)
		for _, d := range all {
			require.False(t, d.Index == c.Index && (d.At < c.At || d.At == c.At && d.Reason < c.Reason))
		}
	}
	for range 50 {
		random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		a, b := random.IntN(len(all)), random.IntN(len(all))
		a, b = min(a, b), max(a, b)
		require.Equal(t, want, all[:a].Union().Union(all[b:], all[a:b].Union(all[:b])))
	}
	require.Empty(t, message.Cancellations(nil).Union(nil, nil))
}
