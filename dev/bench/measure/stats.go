package measure

import (
	"math"
	"slices"
	"time"
)

// Median is the middle value, or the mean of the middle two; NaN of none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Percentile is the smallest value that at least p percent of all do not exceed
// (nearest rank); 0 of none. p is above 0 and at most 100.
func Percentile(v []time.Duration, p float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	rank := int(math.Ceil(p / 100 * float64(len(s))))
	return s[min(max(rank, 1), len(s))-1]
}

// Ratio is a speed in relation to the mean of two others, those measured right
// before and right after it; 0 if they are 0.
func Ratio(speed, before, after float64) float64 {
	if before+after <= 0 {
		return 0
	}
	return speed / ((before + after) / 2)
}

// Per divides, and is 0 where there is nothing to divide by.
func Per(what float64, n int) float64 {
	if n == 0 {
		return 0
	}
	return what / float64(n)
}
