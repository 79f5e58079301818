package store

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Inside the package, because no message can be made for a given hash.
func TestHashesThatComeTwiceAreNamed(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	var set duplicates
	seen := map[uint64]int{}
	for range 200_000 {
		h := rnd.Uint64()
		switch rnd.IntN(100) {
		case 0:
			h = rnd.Uint64N(2000) // small ones, 0 among them
		case 1:
			h = rnd.Uint64N(2000) << 55
		}
		seen[h]++
		set.add(h)
	}
	named := map[uint64]bool{}
	for _, h := range set.list() {
		named[h] = true
	}
	for h, n := range seen {
		if n > 1 {
			require.True(t, named[h], "%x came %d times", h, n)
		}
	}
	require.Less(t, len(named), 4100, "next to none by accident")
	require.False(t, set.all)
}
