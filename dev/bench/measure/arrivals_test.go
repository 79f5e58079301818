package measure_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/bench/measure"
)

// at are arrivals at milliseconds after some moment.
func at(ms ...int) measure.Arrivals {
	var a measure.Arrivals
	for _, m := range ms {
		a = append(a, time.Unix(1000, 0).Add(time.Duration(m)*time.Millisecond))
	}
	return a
}

func TestSecondsAreCountedFromTheFirstArrival(t *testing.T) {
	t.Parallel()
	p := at(500, 600, 1499, 1500, 2499, 2500, 3500).Pace()
	require.Equal(t, 7, p.Requests)
	require.Equal(t, 3, p.First)
	require.Equal(t, 2, p.Second, "1500 and 2499")
	require.InDelta(t, 3, p.Seconds, 1e-9)
	require.InDelta(t, 2, p.Rate, 1e-9, "four in two seconds")
}

func TestASpanOfASecondMayBeginAnywhereAfterTheFirst(t *testing.T) {
	t.Parallel()
	p := at(0, 1, 2, 3, 1900, 1950, 2100, 2850, 2900).Pace()
	require.Equal(t, 4, p.First)
	require.Equal(t, 3, p.Second, "2100, 2850 and 2900")
	require.Equal(t, 4, p.Window, "from 1900 to 2850; 2900 is a second later")
}

func TestAnOddOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	require.Equal(t, at(0, 1000, 2000).Pace(), at(2000, 0, 1000).Pace())
}

func TestLittleHasNoPace(t *testing.T) {
	t.Parallel()
	require.Zero(t, at().Pace())
	require.Equal(t, measure.Pace{Requests: 2, Seconds: .5, First: 2}, at(0, 500).Pace())
}
