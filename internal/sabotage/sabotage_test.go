//go:build !sabotage

package sabotage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/sabotage"
)

func TestNoPromiseIsBrokenWithoutTheTag(t *testing.T) {
	for _, n := range sabotage.Names() {
		t.Setenv("VOLLEY_SABOTAGE", string(n))
		require.False(t, sabotage.Active(n), n)
	}
}
