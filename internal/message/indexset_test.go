package message_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func setOf(indexes ...int) (s message.IndexSet) {
	for _, i := range indexes {
		s.Add(i)
	}
	return s
}

func TestAnIndexSetIsWhatItsJSONSays(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var half, most message.IndexSet
	for i := range 1_000_000 {
		if random.IntN(2) == 0 {
			half.Add(i)
		}
		if i%1000 != 7 {
			most.Add(i)
		}
	}
	for name, set := range map[string]message.IndexSet{
		"empty": {}, "one": setOf(0), "far": setOf(3, 64, message.MaxIndex), "half of a million": half, "nearly all": most,
	} {
		raw, err := json.Marshal(set)
		require.NoError(t, err)
		require.Less(t, len(raw), 256<<10, name)
		var got message.IndexSet
		require.NoError(t, json.Unmarshal(raw, &got))
		require.Equal(t, set.Len(), got.Len(), name)
		require.True(t, set.Equal(got), name)
	}
}

func TestIndexSetsAreTakenFromEachOther(t *testing.T) {
	t.Parallel()
	a, b := setOf(1, 2, 200, 200), setOf(2, 3)
	require.Equal(t, 3, a.Len())
	left := a.Without(b)
	require.True(t, left.Equal(setOf(1, 200)))
	require.Equal(t, 3, a.Len(), "the set itself stays as it is")
	b.Union(a)
	require.True(t, b.Equal(setOf(1, 2, 3, 200)))
	require.False(t, b.Has(-1))
	require.False(t, b.Has(1<<30))
	require.False(t, b.Equal(a))
}

func TestADamagedIndexSetIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`{"n":1}`, `{"n":1,"bits":"AAAA"}`, `{"n":2,"bits":"YmBgYAAEAAA="}`, `[]`} {
		var s message.IndexSet
		require.Error(t, json.Unmarshal([]byte(raw), &s), raw)
	}
}

func TestAnIndexSetHasWhatWasPutIn(t *testing.T) {
	t.Parallel()
	for _, i := range []int{0, 1, 63, 64, 127, 128, message.MaxIndex} {
		s := setOf(i)
		require.True(t, s.Has(i), i)
		require.Equal(t, 1, s.Len(), i)
		require.False(t, s.Has(i-1), i)
		require.False(t, s.Has(i+1), i)
	}
	none := setOf(-1, message.MaxIndex+1)
	require.Zero(t, none.Len())
	for _, tt := range [][2]message.IndexSet{{setOf(1), setOf(640)}, {setOf(640), setOf(1)}, {{}, setOf(1, 640)}, {setOf(1, 640), {}}} {
		tt[0].Union(tt[1])
		require.True(t, tt[0].Equal(setOf(1, 640)))
		require.Equal(t, 2, tt[0].Len())
	}
	left := setOf(1, 640)
	left = left.Without(setOf(1, 2))
	require.True(t, left.Equal(setOf(640)))
}
