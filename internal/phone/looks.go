package phone

import (
	"errors"
	"strconv"
	"strings"
)

var (
	errShortened = errors.New("looks like a number that a spreadsheet shortened (scientific notation); format the column as text")
	errFloat     = errors.New("looks like a number with decimals, as a spreadsheet writes it; format the column as text")
	errAmount    = errors.New("looks like an amount")
	errDate      = errors.New("looks like a date")
	errIP        = errors.New("looks like an IP address")
)

// looksLike says what a value is that has the shape of a phone number but is
// written as something else is.
func (w *notation) looksLike(region string) error {
	switch {
	case w.two():
		return errTwo
	case w.plus || w.brackets || w.zero:
		return nil
	case w.date():
		return errDate
	case w.ip(region):
		return errIP
	case w.thousands():
		return errAmount
	case w.groups == 2 && w.gaps[1] == '.' && len(w.group(1)) <= 2:
		if len(w.group(0)) <= 6 {
			return errAmount
		}
		return errFloat
	}
	return nil
}

// two reports whether a separator between spaces, or a slash, has a whole number on
// each side: 555-0101 - 555-0102. A number with a country code needs more digits
// on the left before that, because +49 5151 / 1234567 is one.
func (w *notation) two() bool {
	left := 7
	switch {
	case w.plus || w.zero:
		left = 10
	case w.n > 1 && w.digits[0] == '0' && w.digits[1] == '0':
		left = 12
	}
	for i := 1; i < w.groups; i++ {
		if w.gaps[i] != '~' && w.gaps[i] != '/' {
			continue
		}
		if w.ends[i-1] >= left && w.n-w.ends[i-1] >= 7 {
			return true
		}
	}
	return false
}

// date reports whether three groups are a day of 1900 to 2099 in any order that
// people write: 2026-11-28, 28.11.2026, 11/28/2026, 28.11.26.
func (w *notation) date() bool {
	if w.groups != 3 || w.gaps[1] != w.gaps[2] || !strings.ContainsRune("-./", rune(w.gaps[1])) {
		return false
	}
	a, b, c := w.group(0), w.group(1), w.group(2)
	switch {
	case len(a) == 4:
		return inYears(a) && (dayMonth(c, b) || dayMonth(b, c))
	case len(c) == 4:
		return inYears(c) && (dayMonth(a, b) || dayMonth(b, a))
	}
	return len(c) == 2 && (dayMonth(a, b) || dayMonth(b, a))
}

// thousands reports whether dots stand where they separate thousands of an amount:
// 1.234.567 or 12.345.678. More digits are a number unless one stands alone in front,
// because 612.345.678 is one, and 34.612.345.678 with its country code.
func (w *notation) thousands() bool {
	first := w.ends[0]
	if w.groups < 2 || first > 3 || w.digits[0] == '0' || first > 1 && w.n > 8 {
		return false
	}
	for i := 1; i < w.groups; i++ {
		if w.gaps[i] != '.' || w.ends[i]-w.ends[i-1] != 3 {
			return false
		}
	}
	return true
}

func inYears(s string) bool { return strings.HasPrefix(s, "19") || strings.HasPrefix(s, "20") }

func dayMonth(day, month string) bool { return upTo(day, 31) && upTo(month, 12) }

func upTo(s string, limit int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && len(s) <= 2 && n >= 1 && n <= limit
}

// ip reports whether four groups are an IPv4 address. Four groups of two digits are
// a number where a region has numbers of eight digits, as 20.30.40.50 in Denmark.
func (w *notation) ip(region string) bool {
	if w.groups != 4 {
		return false
	}
	pairs := true
	for i := range 4 {
		g := w.group(i)
		n, err := strconv.Atoi(g)
		if err != nil || n > 255 || len(g) > 3 || i > 0 && w.gaps[i] != '.' {
			return false
		}
		pairs = pairs && len(g) == 2
	}
	return region == "" || !pairs
}

// scientific reports whether a value is a number with an exponent: 1.5555E+10.
func scientific(value string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToLower(strings.TrimSpace(value)), "e")
	digits := func(s, extra string) bool {
		return s != "" && strings.Trim(s, "0123456789"+extra) == ""
	}
	return ok && digits(mantissa, ".,") && digits(exponent, "+-") && strings.ContainsAny(exponent, "0123456789")
}

// decimal reports whether a value is one number with a comma: 12,50 or 1,234.50.
func decimal(value string) bool {
	value = strings.TrimSpace(value)
	return strings.Contains(value, ",") && strings.Trim(value, "0123456789.,") == ""
}
