package main

import (
	"fmt"
	"time"

	"volley/internal/message"
)

// span writes a duration with its two largest units, rounded to the smaller one.
func span(d time.Duration) string { return spanOf(d, 2) }

// age writes a duration with its largest unit.
func age(d time.Duration) string { return spanOf(d, 1) }

func spanOf(d time.Duration, parts int) string {
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
		if rest := rounded % u.size / next.size; rest > 0 && parts > 1 {
			text += fmt.Sprintf(" %d %s", rest, next.name)
		}
		return text
	}
	return fmt.Sprintf("%d s", s)
}

// absolute writes a time in its own zone.
func absolute(t time.Time) string { return t.Format(time.DateTime) + " " + zoneName(t) }

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

// when writes a time as seen from now and as it is, in the zone of now.
func when(t, now time.Time) string {
	return relative(t, now) + " (" + absolute(t.In(now.Location())) + ")"
}

// clock writes a time of day in the zone of now, with its day where that is another one.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04")
	case t.Sub(now).Abs() < 6*24*time.Hour:
		return t.Format("Mon 15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// dueAt writes a time that somebody chose, for them to check: with the name of the
// zone of now, as 2026-12-01 09:00 Europe/Berlin, in 3 d 2 h.
func dueAt(t, now time.Time) string {
	t = t.In(now.Location())
	layout := "2006-01-02 15:04"
	if t.Second() != 0 {
		layout += ":05"
	}
	return t.Format(layout) + " " + zoneName(t) + ", " + relative(t, now)
}

// parseTime reads T: an RFC 3339 time, or a duration from now.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	t, err := message.ParseTime(s, now)
	if err != nil {
		return t, usage("--%s %q, expected a time such as 2026-01-31T18:00:00Z or a duration from now such as 10m or 3d", flag, s)
	}
	return t, nil
}

// parseSpan reads D: a duration above 0.
func parseSpan(flag, s string) (time.Duration, error) {
	d, err := message.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usage("--%s %q, expected a duration above 0 such as 90s, 2h or 3d", flag, s)
	}
	return d, nil
}

// duration is a flag that takes days, too.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

// Type is what help calls the value.
func (d *duration) Type() string { return "duration" }

// Set reads a duration.
func (d *duration) Set(s string) error {
	v, err := message.ParseDuration(s)
	*d = duration(v)
	return err
}
