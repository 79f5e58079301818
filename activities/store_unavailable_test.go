package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/activities"
	"volley/internal/store"
	"volley/workflows/contract"
)

// Nothing is lost that is not found in a store that is away.
func TestAStoreThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	const dir = "default/2026-01-01/b~00000000"
	in := contract.LoadInput{V: 1, Dir: dir, Segment: 1}
	a := activities.New(activities.Options{Store: storeAt(t, "mem://")})
	_, err := execute(t, environment{}, a.Load, in)
	require.ErrorContains(t, err, store.ErrAway.Error())
	require.Equal(t, contract.OpenResult{V: 1, Away: true}, ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir}))
	a, _, _ = kept(t, 1, nil)
	require.False(t, ask(t, a.Load, in).Found)
	require.Equal(t, contract.OpenResult{V: 1}, ask(t, a.Open, contract.OpenInput{V: 1, Dir: dir}))
}
