package activities_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestNothingLeavesWhileAnAccountIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, &sender{}, provider.Account{Rate: 10}, 11, nil)
		l.acts.Hold("hook")
		l.acts.Hold("hook")
		time.AfterFunc(3*time.Second, func() {
			l.acts.Share("hook", 2) // counts for those that wait already
			l.acts.Release("hook")
			l.acts.Release("hook")
		})
		began := time.Now()
		require.Equal(t, map[string]int{"sent": 11}, kinds(l.send(t)))
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.001)
	})
}

func TestAnAccountWithoutARateIsNotHeld(t *testing.T) {
	t.Parallel()
	l := newLot(t, &sender{}, provider.Account{}, 5, nil)
	l.acts.Hold("hook")
	l.acts.Release("hook")
	l.acts.Hold("hook")
	require.Equal(t, map[string]int{"sent": 5}, kinds(l.send(t)))
}
