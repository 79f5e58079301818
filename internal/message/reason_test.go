package message_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	. "volley/internal/message"
)

func TestReasonsAddUpToTheCounts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var whole Reasons
		var counts Counts
		for range 1 + rnd.IntN(4) { // parts of a batch
			part := make([]Record, rnd.IntN(80))
			for i := range part {
				part[i].State = States()[rnd.IntN(len(States()))]
				part[i].Code = fmt.Sprintf("c%d", rnd.IntN(1+int(seed%60)))
				counts[part[i].State]++
			}
			whole.Add(ReasonsOf(part))
		}
		if seed%3 == 0 { // what is known of some is older, or missing
			counts[Retrying] /= 2
			counts[Failed] += 7
		}
		shown := whole.Of(counts)
		require.LessOrEqual(t, len(shown), MaxReasons, "seed %d", seed)
		var sums Counts
		named := map[string]bool{}
		for i, r := range shown {
			sums[r.State] += r.Count
			require.Positive(t, r.Count)
			require.False(t, named[r.State.String()+r.Code], "seed %d: %v twice", seed, r)
			named[r.State.String()+r.Code] = true
			if i > 0 {
				require.LessOrEqual(t, r.Count, shown[i-1].Count, "seed %d", seed)
			}
		}
		for _, s := range []State{Failed, Rejected, Expired, Undelivered, Unknown, Retrying} {
			require.Equal(t, counts[s], sums[s], "seed %d: %s", seed, s)
		}
		for _, s := range []State{Sent, Delivered, Canceled, Scheduled, Accepted, Sending} {
			require.Zero(t, sums[s], "seed %d: %s", seed, s)
		}
	}
}

func TestReasonsTellTheLargestFirst(t *testing.T) {
	t.Parallel()
	var rs Reasons
	rs.Count(Sent, "ok", "", 100)
	rs.Count(Expired, "expired", "", 3)
	rs.Count(Failed, "http_401", "wrong key", 800)
	rs.Count(Failed, "http_401", "wrong key again", 99)
	rs.Count(Failed, "", "", 2)
	shown := rs.Of(Counts{Failed: 901, Expired: 3, Sent: 100})
	require.Equal(t, Reasons{
		{State: Failed, Code: "http_401", Count: 899, Detail: "wrong key"},
		{State: Expired, Code: "expired", Count: 3},
		{State: Failed, Code: CodeOther, Count: 2},
	}, shown)
	raw, err := json.Marshal(shown[:1])
	require.NoError(t, err)
	require.JSONEq(t, `[{"state":"failed","code":"http_401","count":899,"detail":"wrong key"}]`, string(raw))
	raw, err = json.Marshal(Reasons(nil).Of(Counts{Sent: 5}))
	require.NoError(t, err)
	require.Equal(t, `[]`, string(raw), "none is a list without elements")
}

func TestReasonsBeyondTheBoundAreOther(t *testing.T) {
	t.Parallel()
	var rs Reasons
	var counts Counts
	for i := range 100 {
		rs.Count(Failed, fmt.Sprint("f", i), "", 100-i)
		counts[Failed] += 100 - i
		rs.Count(Undelivered, fmt.Sprint("u", i), "", 1)
		counts[Undelivered]++
	}
	shown := rs.Of(counts)
	require.Len(t, shown, MaxReasons)
	others := 0
	for _, r := range shown {
		if r.Code == CodeOther {
			others++
		}
	}
	require.Equal(t, 2, others, "one for each state: %v", shown)
}
