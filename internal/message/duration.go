package message

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errDuration = errors.New("not a duration such as 90s, 2h, 3d or 1d12h")

// ParseDuration reads a duration as people and requests write it: what
// time.ParseDuration reads, with days in front where there are any, as 3d, 1d12h
// or 1.5d. A day is 24 hours, whatever clocks do. There are no weeks and months.
// The result depends on s alone, so that workflow code may call it. It may be 0 or
// negative (-1d12h is 36 hours below zero); what does not fit into a time.Duration
// is an error.
func ParseDuration(s string) (time.Duration, error) {
	before, rest, ok := strings.Cut(s, "d")
	if !ok {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	digits := strings.TrimLeft(before, "+-")
	sign := before[:len(before)-len(digits)]
	if len(sign) > 1 || strings.Trim(digits, "0123456789.") != "" {
		return 0, errDuration
	}
	// What is read as hours here is 24 times as much; Go checks the digits.
	d, err := time.ParseDuration(digits + "h")
	if err != nil || d > math.MaxInt64/24 {
		return 0, errDuration
	}
	d *= day / time.Hour
	if rest != "" {
		// A bare 0 is a duration by itself, and no unit of one; a sign stands in front.
		more, err := time.ParseDuration(rest)
		if err != nil || rest == "0" || strings.ContainsAny(rest[:1], "+-") || d+more < 0 {
			return 0, errDuration
		}
		d += more
	}
	if sign == "-" {
		d = -d
	}
	return d, nil
}

// Horizon says how far ahead a time may be, as "a year" or "7 days".
func Horizon(d time.Duration) string {
	switch {
	case d == 365*day:
		return "a year"
	case d%day == 0:
		return Plural(int(d/day), "day")
	}
	return d.String()
}

var errTime = errors.New("neither an RFC 3339 time nor a duration from now such as 10m or 3d")

// ParseTime reads a time as requests, flags, signals and updates write it: RFC 3339, or
// a duration from now (ParseDuration) that is not negative. It depends only on s and
// now.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if at, err := ParseRFC3339(s); err == nil {
		return at, nil
	}
	d, err := ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, errTime
	}
	return now.Add(d), nil
}

// ParsePriorities reads two priorities as 3-5, or one; empty is 0 and 0.
func ParsePriorities(s string) (from, to int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, several := strings.Cut(s, "-")
	if !several {
		last = first
	}
	from, err = strconv.Atoi(first)
	if err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to > 5 || from > to {
		return 0, 0, fmt.Errorf("%q, expected two numbers from 1 to 5 such as 3-5", s)
	}
	return from, to, nil
}
