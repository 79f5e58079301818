package hashset_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/hashset"
)

func TestASetKnowsWhatCameBefore(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*hashset.Set{"short": {}, "wide": hashset.Wide()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(5, 6))
			seen := map[uint64]bool{}
			for range 200_000 {
				h := rnd.Uint64()
				switch rnd.IntN(100) {
				case 0:
					h = rnd.Uint64N(2000) + 2*256 // small ones
				case 1:
					h = rnd.Uint64N(8) << 45
				}
				if h/256 == 0 {
					continue // counts as its neighbour
				}
				require.Equal(t, seen[h], set.Has(h), "%x", h)
				require.Equal(t, !seen[h], set.Add(h), "%x", h)
				seen[h] = true
			}
			require.Equal(t, len(seen), set.Len())
		})
	}
}

func TestAWideSetComparesMoreBits(t *testing.T) {
	t.Parallel()
	wide, short := hashset.Wide(), &hashset.Set{}
	const first = 0xab << 8
	wide.Add(first)
	short.Add(first)
	for bit := range 64 {
		h := uint64(1)<<bit ^ first
		require.Equal(t, bit < 56, wide.Add(h), "bit %d", bit)
		require.Equal(t, bit < 48, short.Add(h), "bit %d", bit)
	}
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	rnd := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		set := hashset.Set{}
		for range 1_000_000 {
			set.Add(rnd.Uint64())
		}
	}
}
