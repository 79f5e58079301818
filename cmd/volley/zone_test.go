package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
	"volley/starter"
)

func TestLocalTimesFollowTheClocksOfTheirZone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, wall, want, note string }{
		{"Europe/Berlin", "2026-12-01 09:00", "2026-12-01T08:00:00Z", ""},
		{"Europe/Berlin", "2026-07-01T09:00:30", "2026-07-01T07:00:30Z", ""},
		{"Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z", ""},
		{"Europe/Berlin", "2026-03-29 02:00", "2026-03-29T01:00:00Z", "skip 2026-03-29 02:00:00; it is taken as 03:00:00"},
		{"Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z", "skip 2026-03-29 02:30:00; it is taken as 03:30:00"},
		{"Europe/Berlin", "2026-03-29 03:00", "2026-03-29T01:00:00Z", ""},
		{"Europe/Berlin", "2026-10-25 01:59", "2026-10-24T23:59:00Z", ""},
		{"Europe/Berlin", "2026-10-25 02:00", "2026-10-25T00:00:00Z", "show 2026-10-25 02:00:00 twice; the first is taken"},
		{"Europe/Berlin", "2026-10-25 02:30", "2026-10-25T00:30:00Z", "show 2026-10-25 02:30:00 twice; the first is taken"},
		{"Europe/Berlin", "2026-10-25 03:00", "2026-10-25T02:00:00Z", ""},
		{"America/New_York", "2027-03-14 02:30", "2027-03-14T07:30:00Z", "taken as 03:30:00"},
		{"America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00Z", "twice"},
		{"Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03T15:45:00Z", "taken as 02:45:00"},
		{"Australia/Lord_Howe", "2027-04-04 01:45", "2027-04-03T14:45:00Z", "twice"},
		{"Australia/Lord_Howe", "2027-04-04 01:29", "2027-04-03T14:29:00Z", ""},
		{"Asia/Kathmandu", "2026-12-01 09:00", "2026-12-01T03:15:00Z", ""},
		{"Pacific/Apia", "2011-12-30 09:00", "2011-12-30T19:00:00Z", "skip 2011-12-30 09:00:00"},
		{"Pacific/Kiritimati", "2026-12-01 00:00", "2026-11-30T10:00:00Z", ""},
		{"UTC", "2026-12-01 09:00", "2026-12-01T09:00:00Z", ""},
		{"Europe/Berlin", "2060-07-01 12:00", "2060-07-01T10:00:00Z", ""},
		{"Europe/Berlin", "today 23:00", "2026-11-20T22:00:00Z", ""},
		{"Europe/Berlin", "tomorrow 09:00", "2026-11-21T08:00:00Z", ""},
		{"Pacific/Kiritimati", "today 09:00", "2026-11-20T19:00:00Z", ""}, // there it is the 21st by now
	} {
		zone, err := time.LoadLocation(tt.zone)
		require.NoError(t, err)
		at, note, err := wallTime(tt.wall, zone, moment)
		require.NoError(t, err, tt.wall)
		require.Equal(t, tt.want, at.UTC().Format(time.RFC3339), "%s %s", tt.zone, tt.wall)
		require.Contains(t, note, tt.note)
		require.Equal(t, tt.note == "", note == "", note)
	}
}

func TestEveryMomentIsReadBackFromItsClock(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Asuncion", "Asia/Tehran"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for at := moment; at.Before(moment.Add(400 * 24 * time.Hour)); at = at.Add(47 * time.Minute) {
			wall, ok := wallOf(at.In(zone).Format("2006-01-02 15:04"), moment)
			require.True(t, ok)
			got, kind := inZone(wall, zone)
			require.NotEqual(t, skipped, kind)
			if kind == once {
				require.Equal(t, at.Unix(), got.Unix(), "%s %s", name, at)
			} else {
				require.LessOrEqual(t, got.Unix(), at.Unix())
				require.Equal(t, at.In(zone).Format(time.DateTime), got.Format(time.DateTime))
			}
		}
	}
}

func TestLocalTimesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{
		"", "09:00", "2026-12-01", "2026-12-01 9:00", "2026-12-1 09:00", "2026-13-01 09:00", "2026-02-29 09:00", "2026-12-01 24:00",
		"2026-12-01 09:60", "2026-12-01 09:00:00.5", "2026-12-01 09:00Z", "2026-12-01T09:00:00Z", "2026-12-01T09:00:00+01:00", "3d",
		"01.12.2026 09:00", "2026-12-01  09:00", "yesterday 09:00", "monday 09:00", "tomorrow", "tomorrow 9am",
	} {
		r := setting{fake: &fake{}}.run(t, "reschedule", "b1", "--tz", "Europe/Berlin", "--at", at)
		require.Equal(t, 2, r.code, at)
		require.Contains(t, r.stderr, "expected a local time such as '2026-12-01 09:00'", at)
	}
}

const zoneConfig = testConfig + "search_metadata: [campaign]\n"

func TestTheZoneOfALocalTimeIsNeverGuessed(t *testing.T) {
	t.Parallel()
	config := strings.Replace(zoneConfig, "priority: 2", "priority: 2, timezone: Asia/Kathmandu", 1)
	for name, tt := range map[string]struct {
		args, env []string
		want      string // the due time, or what is wrong
	}{
		"--tz":                      {[]string{"--tz", "Europe/Berlin", "--tenant", "acme"}, []string{"TZ=UTC"}, "2026-12-01T08:00:00Z"},
		"the tenant's":              {[]string{"--tenant", "acme"}, []string{"TZ=UTC"}, "2026-12-01T03:15:00Z"},
		"TZ":                        {nil, []string{"TZ=America/New_York"}, "2026-12-01T14:00:00Z"},
		"TZ with a colon":           {nil, []string{"TZ=:America/New_York"}, "2026-12-01T14:00:00Z"},
		"TZ as a file":              {nil, []string{"TZ=/usr/share/zoneinfo/America/New_York"}, "2026-12-01T14:00:00Z"},
		"an empty TZ, which is UTC": {nil, []string{"TZ="}, "2026-12-01T09:00:00Z"},
		"none":                      {nil, nil, "--at needs a zone: --tz Europe/Berlin, timezone of tenant default in the configuration, or TZ in the environment"},
		"a TZ that is a rule":       {nil, []string{"TZ=CET-1CEST"}, `--at: TZ is "CET-1CEST", which is no zone of the IANA database`},
		"a --tz that is none":       {[]string{"--tz", "Berlin"}, nil, `--tz "Berlin", expected a zone of the IANA database such as Europe/Berlin`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			s := setting{fake: f, env: append(tt.env, "VOLLEY_CONFIG="+write(t, "volley.yaml", config)), stdin: goodBody}
			r := s.run(t, append([]string{"reschedule", "b1", "--at", "2026-12-01 09:00"}, tt.args...)...)
			if tt.want[0] != '2' {
				require.Equal(t, 2, r.code)
				require.Contains(t, r.stderr, tt.want)
				require.Nil(t, f.asked)
				return
			}
			require.Equal(t, 0, r.code, r.stderr)
			require.Equal(t, message.RescheduleRequest{SendAfter: tt.want}, f.asked)
		})
	}
}

func TestADueTimeIsEchoedInItsZone(t *testing.T) {
	t.Parallel()
	const echo = "2026-12-01 09:00 Europe/Berlin, in 10 d 17 h"
	s := withConfig(t, &fake{move: message.RescheduleResult{Batch: "b1", Rescheduled: 5000}})
	s.stdin = goodBody
	at := []string{"--at", "2026-12-01 09:00", "--tz", "Europe/Berlin"}
	run := func(args ...string) result {
		r := s.run(t, append(args, at...)...)
		require.Equal(t, 0, r.code, r.stderr)
		if args[0] == "start" || args[0] == "validate" {
			const own = "volley: warning: 1 message has a time of its own, for which --send-after or --at does not count; the first is due in 2h0m0s\n"
			require.Equal(t, own, r.stderr)
			return r
		}
		require.Empty(t, r.stderr)
		return r
	}
	require.Contains(t, run("start", "--dialect", "volley", "--id", "b1", "-").stdout, "\ndue "+echo+"\n")
	require.Equal(t, map[string]string{"send-after": "2026-12-01T08:00:00Z"}, s.fake.request.Flags, "the same content as by --send-after")
	require.Contains(t, run("validate", "--dialect", "volley", "-").stdout, "\ndue "+echo+"\n")
	require.Equal(t, "batch b1: 5,000 messages are now due "+echo+"; 0 unchanged\n", run("reschedule", "b1").stdout)
	run("redrive", "b1", "--state", "not-sent")
	require.Equal(t, starter.RedriveQuery{States: []string{"not-sent"}, SendAfter: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)}, s.fake.asked)

	at = []string{"--at", "2026-11-20 15:30", "--tz", "Europe/Berlin"}
	for _, args := range [][]string{{"start", "--dialect", "volley", "-"}, {"validate", "--dialect", "volley", "-"}, {"reschedule", "b1"}, {"redrive", "b1"}} {
		r := s.run(t, append(args, at...)...)
		require.Equal(t, 2, r.code, args)
		require.Contains(t, r.stderr, `--at "2026-11-20 15:30" is past: 2026-11-20 15:30 Europe/Berlin, 30 min ago`)
	}
	r := s.run(t, "reschedule", "b1", "--at", "2026-12-01 09:00", "--send-after", "1h")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.stderr, "--at and --send-after both say when")
	r = s.run(t, "reschedule", "b1", "--at", "2027-03-28 02:30", "--tz", "Europe/Berlin")
	require.Equal(t, 0, r.code)
	require.Equal(t, "volley: clocks in Europe/Berlin skip 2027-03-28 02:30:00; it is taken as 03:30:00\n", r.stderr)
	require.Contains(t, r.stdout, "2027-03-28 03:30 Europe/Berlin")
}

func TestTimesAreShownInTheZoneOfWhoeverReadsThem(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		terminal bool
		env      []string
		args     []string
		want     string
	}{
		"a pipe":                            {false, []string{"TZ=Europe/Berlin"}, nil, "2026-11-20 14:50:00 UTC"},
		"a pipe, asked for a zone":          {false, nil, []string{"--tz", "America/New_York"}, "2026-11-20 09:50:00 America/New_York"},
		"a terminal":                        {true, nil, nil, "2026-11-20 15:50:00 LOC"},
		"a terminal with TZ":                {true, []string{"TZ=Asia/Kathmandu"}, nil, "2026-11-20 20:35:00 Asia/Kathmandu"},
		"a terminal with a TZ of its own":   {true, []string{"TZ=CET-1CEST"}, nil, "2026-11-20 14:50:00 UTC"},
		"a terminal, asked for another one": {true, []string{"TZ=Asia/Kathmandu"}, []string{"--tz", "Europe/Berlin"}, "2026-11-20 15:50:00 Europe/Berlin"},
	} {
		s := setting{fake: &fake{statuses: []message.Status{running()}}, terminal: tt.terminal, env: tt.env}
		r := s.run(t, append([]string{"status", "b1"}, tt.args...)...)
		require.Contains(t, r.stdout, "("+tt.want+")", name)
		r = s.run(t, append([]string{"status", "b1", "-o", "json"}, tt.args...)...)
		require.Contains(t, r.stdout, `"createdAt":"2026-11-20T14:50:00Z"`, name)
	}
	row := someRows()[0]
	row.Trail = []message.TrailRow{{At: *after(-2e9), Account: "hook", Attempt: 1, Event: message.EventSent}}
	r := setting{fake: &fake{row: row}}.run(t, "message", "b1", "0", "--tz", "Europe/Berlin")
	require.Contains(t, r.stdout, "\n2026-11-20 15:59:58 Europe/Berlin  hook")
}

func TestFlagsTakeDays(t *testing.T) {
	t.Parallel()
	s := withConfig(t, nil)
	s.stdin = goodBody
	r := s.run(t, "start", "--dialect", "volley", "--send-after", "3d", "--ttl", "1d12h", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "\ndue 2026-11-23 15:00 UTC, in 3 d\n")
	s.stdin = "to\n+15550001111\n"
	f := &fake{}
	s.fake = f
	r = s.run(t, "start", "--dialect", "volley", "--text", "hi", "--await-reports", "1d12h", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, (36 * time.Hour).Milliseconds(), f.request.Batch.AwaitReports)
	require.Equal(t, map[string]string{"text": "hi", "await-reports": "36h0m0s"}, f.request.Flags)
	require.Equal(t, 2, s.run(t, "start", "--dialect", "volley", "--text", "hi", "--await-reports", "1w", "-").code)
}
