package message

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRevsArePacked(t *testing.T) {
	t.Parallel()
	many := make(Revs, 15_000)
	for i := range many {
		many[i] = 1_795_000_000_000 << 10
	}
	raw, err := json.Marshal(many)
	require.NoError(t, err)
	require.Less(t, len(raw), 50)
	for _, revs := range []Revs{{}, {7}, {7, 7, 3, 900, 901, 902}, {math.MaxInt64, 1}, many} {
		raw, err := json.Marshal(revs)
		require.NoError(t, err)
		var again Revs
		require.NoError(t, json.Unmarshal(raw, &again))
		require.Equal(t, revs, again)
	}
	for _, bad := range []string{`[[1,9000000000000000000]]`, `[[1,900000],[1,900000]]`, `[[1]]`, `{}`, `"7"`} {
		var revs Revs
		require.Error(t, json.Unmarshal([]byte(bad), &revs), bad)
	}
}
