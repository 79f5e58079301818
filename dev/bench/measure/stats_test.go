package measure_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/bench/measure"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		of   []float64
		want float64
	}{
		"of an odd number is the middle one":           {[]float64{9, 1, 3}, 3},
		"of an even number is between the middle two":  {[]float64{4, 1, 2, 9}, 3},
		"of one is that one":                           {[]float64{7}, 7},
		"is not moved by a value that is far off":      {[]float64{1, 1, 1e9}, 1},
		"does not depend on the order that it is told": {[]float64{3, 2, 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, x.want, measure.Median(x.of), 0)
		})
	}
	require.True(t, math.IsNaN(measure.Median(nil)), "of none there is none")
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	require.EqualValues(t, 50, measure.Percentile(hundred, 50))
	require.EqualValues(t, 99, measure.Percentile(hundred, 99))
	require.EqualValues(t, 100, measure.Percentile(hundred, 100))
	require.EqualValues(t, 1, measure.Percentile(hundred, .1))
	require.EqualValues(t, 3, measure.Percentile([]time.Duration{3, 1}, 99))
	require.EqualValues(t, 1, measure.Percentile([]time.Duration{3, 1}, 50))
	require.Zero(t, measure.Percentile(nil, 50))
	require.EqualValues(t, 100, hundred[0], "the durations stay in their order")
}

func TestARatioIsToTheMeanOfBeforeAndAfter(t *testing.T) {
	t.Parallel()
	require.InDelta(t, .5, measure.Ratio(100, 150, 250), 1e-12)
	require.Zero(t, measure.Ratio(100, 0, 0))
	require.InDelta(t, 2.5, measure.Per(5, 2), 0)
	require.Zero(t, measure.Per(5, 0))
}
