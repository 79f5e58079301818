package phone

import (
	"regexp"
	"slices"
	"strings"
)

// plain reads what most numbers are, digits with or without a +, without the
// library, where it is certain what the library would say: it takes nothing off the
// number and looks at nothing but its length. It is false for all other values.
func plain(value, region string) (string, bool) {
	digits := strings.TrimPrefix(value, "+")
	if len(digits) < 8 || len(digits) > maxDigits || digits[0] == '0' && region == "" {
		return "", false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", false
		}
	}
	if len(digits) < len(value) {
		return value, plainAbroad(digits)
	}
	if region == "" {
		if !plainAbroad(digits) {
			return "", false
		}
		return "+" + value, true
	}
	p := regionOf(region)
	switch {
	case p == nil || p.dialsOut(digits):
		return "", false
	case p.bare(digits):
		return p.plainBare(digits)
	}
	return p.plainTrunk(digits)
}

// plainAbroad reports whether digits that begin with a country code are a number as
// they stand.
func plainAbroad(digits string) bool {
	code, national := callingCode(digits)
	if code == "" {
		return false
	}
	p := world().codes[code]
	return national != "" && national[0] != '0' && p.possible[len(national)] && !begins(national, p.prefix, p.literal)
}

// plainTrunk reads a national number with a trunk prefix that is no more than that:
// nothing else can be taken off, and nothing begins abroad as the prefix does.
func (p *plan) plainTrunk(digits string) (string, bool) {
	if p.keepsTrunk || p.trunk != "0" || p.literal != "0" || digits[0] != '0' {
		return "", false
	}
	national := digits[1:]
	if national[0] == '0' || len(p.code)+len(national) > maxDigits || !p.possible[len(national)] {
		return "", false
	}
	return "+" + p.code + national, true
}

// plainBare reads a national number of a usual length that needs no trunk prefix. It
// has to be a land line or a mobile, or the same digits after a + must not be assigned.
func (p *plan) plainBare(digits string) (string, bool) {
	switch {
	case digits[0] == '0' || strings.HasPrefix(digits, p.code), begins(digits, p.prefix, p.literal):
		return "", false
	case len(p.code)+len(digits) > maxDigits || !p.possible[len(digits)] || !p.usual[len(digits)] || !unassignedAbroad(digits) && !p.has(digits):
		return "", false
	}
	return "+" + p.code + digits, true
}

// has reports whether a national number is an assigned land line or mobile of the
// region. False may be a number of another kind.
func (p *plan) has(national string) bool {
	patterns := p.assigned()
	return len(patterns) > 1 && patterns[0].MatchString(national) &&
		slices.ContainsFunc(patterns[1:], func(r *regexp.Regexp) bool { return r.MatchString(national) })
}

// unassignedAbroad reports whether digits are certainly no number with its country,
// or none that is assigned.
func unassignedAbroad(digits string) bool {
	code, national := callingCode(digits)
	if code == "" {
		return true
	}
	p := world().codes[code]
	if national == "" || national[0] == '0' || begins(national, p.prefix, p.literal) {
		return false
	}
	return !p.possible[len(national)] || p.general != nil && !p.general().MatchString(national)
}
