package phone

import "strings"

// minEntry is how many digits a value has at least for IsWritten to take it for a
// phone number.
const minEntry = 7

// IsWritten reports whether a value is made of nothing but what phone numbers are
// written with, whether Parse can read it or not: 7 or more digits with spaces,
// separators, brackets and +, or a number that a spreadsheet shortened. Fewer digits,
// or more than 15 without anything between them, are an id of another kind.
func IsWritten(value string) bool {
	if scientific(value) {
		return true
	}
	digits, others := 0, false
	for _, r := range value {
		if _, ok := digitOf(r); ok {
			digits++
			continue
		}
		if !IsBlank(r) && !IsMark(r) && !strings.ContainsRune("+\uff0b()\uff08\uff09,;:-./\u2010\u2011\u2012\u2013\u2014\u2015\u2212", r) {
			return false
		}
		others = true
	}
	return digits >= minEntry && (others || digits <= maxDigits)
}
