package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
)

// zoneOf finds a zone by its name in the IANA database, as Europe/Berlin, or as TZ has
// it: with a colon before it, as the path of its file, or empty for UTC.
func zoneOf(name string) (*time.Location, error) {
	name = strings.TrimPrefix(name, ":")
	if _, behind, ok := strings.Cut(name, "/zoneinfo/"); ok && name[0] == '/' {
		name = behind
	}
	if name == "Local" {
		return nil, errors.New("unknown time zone Local")
	}
	return time.LoadLocation(name)
}

// zoneName is the name of the zone of t. The system's own has none that others know,
// so its abbreviation stands for it.
func zoneName(t time.Time) string {
	if name := t.Location().String(); name != "Local" {
		return name
	}
	return t.Format("MST")
}

// shown is the zone of the times that are shown: that of --tz or --at; else, on a
// terminal, that of TZ or of the system. Elsewhere a script may read them, so they
// are in UTC.
func (a *app) shown() *time.Location {
	switch {
	case a.zone != nil:
		return a.zone
	case !a.terminal(a.stdout):
		return time.UTC
	}
	if name, ok := a.env.LookupEnv("TZ"); ok {
		if zone, err := zoneOf(name); err == nil {
			return zone
		}
		return time.UTC
	}
	return a.local
}

// readTZ reads --tz.
func (a *app) readTZ() error {
	if a.tz == "" {
		return nil
	}
	zone, err := zoneOf(a.tz)
	if err != nil {
		return usage("--tz %q, expected a zone of the IANA database such as Europe/Berlin or UTC", a.tz)
	}
	a.zone = zone
	return nil
}

// zoneOfAt is the zone of --at: --tz, or the tenant's, or that of TZ.
func (a *app) zoneOfAt() (*time.Location, error) {
	if a.zone != nil {
		return a.zone, nil
	}
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return nil, err
	}
	if zone := c.Tenants[a.tenant].Timezone; zone != nil {
		return zone, nil
	}
	if name, ok := a.env.LookupEnv("TZ"); ok {
		zone, err := zoneOf(name)
		if err != nil {
			return nil, usage("--at: TZ is %q, which is no zone of the IANA database; --tz Europe/Berlin names one", name)
		}
		return zone, nil
	}
	return nil, usage("--at needs a zone: --tz Europe/Berlin, timezone of tenant %s in the configuration, or TZ in the environment", a.tenant)
}

// atFlag adds --at beside --send-after.
func atFlag(cmd *cobra.Command, at *string) {
	cmd.Flags().StringVar(at, "at", "", "due at this local `time`: '2026-12-01 09:00', 'today 18:30' or 'tomorrow 09:00',\nin the zone of --tz, of the tenant or of TZ")
}

// readAt turns --at into the --send-after that it means, so that there is one due
// time from here on. Times are then shown in the zone that it was read in.
func (a *app) readAt(cmd *cobra.Command, at string) error {
	f := cmd.Flags()
	if !f.Changed("at") {
		return nil
	}
	if f.Changed("send-after") {
		return usage("--at and --send-after both say when; give one of them")
	}
	zone, err := a.zoneOfAt()
	if err != nil {
		return err
	}
	now := a.now()
	t, note, err := wallTime(at, zone, now)
	if err != nil {
		return err
	}
	a.zone = zone
	if !t.After(now) {
		return usage("--at %q is past: %s", at, dueAt(t, a.now()))
	}
	if note != "" {
		a.note("%s", note)
	}
	return f.Set("send-after", t.UTC().Format(time.RFC3339))
}

// wallTime reads what a clock in a zone shows: a date or today or tomorrow, and a
// time of day. A time that the clock skips, or shows twice, comes with a note.
func wallTime(s string, zone *time.Location, now time.Time) (t time.Time, note string, err error) {
	wall, ok := wallOf(s, now.In(zone))
	if !ok {
		return t, "", usage("--at %q, expected a local time such as '2026-12-01 09:00', '2026-12-01 09:00:30' or 'tomorrow 09:00'; --send-after takes RFC 3339 and durations", s)
	}
	t, kind := inZone(wall, zone)
	switch kind {
	case skipped:
		note = fmt.Sprintf("clocks in %s skip %s; it is taken as %s", zone, wall.Format("2006-01-02 15:04:05"), t.Format("15:04:05"))
	case repeated:
		note = fmt.Sprintf("clocks in %s show %s twice; the first is taken", zone, wall.Format("2006-01-02 15:04:05"))
	}
	return t, note, nil
}

// wallOf reads what a clock shows, as if it were in UTC. today is any time of the
// clock's today.
func wallOf(s string, today time.Time) (wall time.Time, ok bool) {
	day, clock, ok := strings.Cut(s, " ")
	if !ok {
		if day, clock, ok = strings.Cut(s, "T"); !ok {
			return wall, false
		}
	}
	switch day {
	case "today":
		day = today.Format(time.DateOnly)
	case "tomorrow":
		// At noon, a day on is tomorrow whatever clocks do.
		day = time.Date(today.Year(), today.Month(), today.Day()+1, 12, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		// Go would take one digit for the hour, and fractions of a second.
		if len(day)+1+len(clock) != len(layout) {
			continue
		}
		if wall, err := time.Parse(layout, day+" "+clock); err == nil {
			return wall, true
		}
	}
	return wall, false
}

// How often a clock shows a time.
type showing int

const (
	once showing = iota
	skipped
	repeated
)

// inZone is when a clock in a zone shows what wall shows in UTC. By RFC 5545, 3.3.5, a time
// that is shown twice is the first of both, and one that is skipped counts with the offset
// before the gap. time.Date promises neither.
func inZone(wall time.Time, zone *time.Location) (time.Time, showing) {
	u := wall.Unix()
	before := 0
	// No offset from UTC is longer than a day, so this is earlier in every zone.
	for period := time.Unix(u-26*3600, 0).In(zone); ; {
		_, offset := period.Zone()
		start, end := period.ZoneBounds()
		at := u - int64(offset)
		switch {
		case !start.IsZero() && at < start.Unix():
			return time.Unix(u-int64(before), 0).In(zone), skipped
		case end.IsZero():
			return time.Unix(at, 0).In(zone), once
		case at < end.Unix():
			_, next := end.Zone()
			if u-int64(next) >= end.Unix() {
				return time.Unix(at, 0).In(zone), repeated
			}
			return time.Unix(at, 0).In(zone), once
		}
		before, period = offset, end
	}
}

// showDue tells a person when a batch is due that is not due yet.
func (a *app) showDue(t *time.Time) {
	if now := a.now(); t != nil && t.After(now) {
		a.printf("due %s\n", dueAt(*t, now))
	}
}

func (a *app) showBatchDue(b *message.Batch) {
	if b != nil {
		a.showDue(message.At(b.SendAfter))
	}
}
