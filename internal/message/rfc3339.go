package message

import (
	"errors"
	"time"
)

// errRFC3339 is why a text is no RFC 3339 time.
var errRFC3339 = errors.New("expected an RFC 3339 time, as 2026-12-24T18:00:00Z")

// ParseRFC3339 reads a time as RFC 3339, 5.6 has it. Unlike time.Parse it takes t and z for
// T and Z, and refuses an hour of one digit, a comma before fractions of a second and
// offsets that no clock has. A leap second is refused.
func ParseRFC3339(s string) (time.Time, error) {
	const (
		date   = len("2026-12-24")
		hour   = len("2026-12-24T18")
		second = len("2026-12-24T18:00:00")
		offset = len("01:00")
	)
	last := len(s) - 1
	if last < second {
		return time.Time{}, errRFC3339
	}
	if s[last] == 'z' {
		s = s[:last] + "Z"
	}
	if s[date] == 't' {
		s = s[:date] + "T" + s[date+1:]
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || s[hour] != ':' || s[second] == ',' || s[last] != 'Z' && (s[last+1-offset:] >= "24" || s[last-1:] >= "60") {
		return time.Time{}, errRFC3339
	}
	return t, nil
}
