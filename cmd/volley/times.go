package main

import (
	"fmt"
	"time"
)

// span writes a duration with its two largest units, rounded to the smaller one.
func span(d time.Duration) string {
	s := int64(d.Abs().Round(time.Second) / time.Second)
	units := []struct {
		size int64
		name string
	}{{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}
	for i, u := range units[:len(units)-1] {
		next := units[i+1]
		rounded := (s + next.size/2) / next.size * next.size
		if rounded < u.size {
			continue
		}
		text := fmt.Sprintf("%d %s", rounded/u.size, u.name)
		if rest := rounded % u.size / next.size; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, next.name)
		}
		return text
	}
	return fmt.Sprintf("%d s", s)
}

func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// relative writes a time as seen from now.
func relative(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return span(d) + " ago"
	}
	return "in " + span(d)
}

// when writes a time as seen from now and as it is.
func when(t, now time.Time) string { return relative(t, now) + " (" + absolute(t) + ")" }

// parseTime reads T: an RFC 3339 time, or a Go duration from now.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, usage("--%s %q, expected a time such as 2026-01-31T18:00:00Z or a duration from now such as 10m", flag, s)
	}
	return now.Add(d), nil
}

// parseSpan reads D: a Go duration above 0.
func parseSpan(flag, s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usage("--%s %q, expected a duration above 0 such as 90s or 2h", flag, s)
	}
	return d, nil
}
