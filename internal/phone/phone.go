package phone

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Parse reads one phone number and returns its E.164 form, as +4915112345678. region
// is where numbers without a + are written, an ISO 3166 code as Region returns it;
// empty is nowhere in particular.
//
// The value first has to look like one phone number: groups of digits with spaces,
// dots, hyphens or slashes between them, at most one + in front, one pair of
// brackets, a "(0)" behind a country code. Spaces and invisible characters at the
// ends and between the digits do not count. Then:
//
//   - a + says that the country code follows;
//   - without + and without a region, 8 to 15 digits begin with their country code,
//     unless brackets in front or a leading 0 say that they do not;
//   - without + and with a region, digits are national if they begin with the trunk
//     prefix of that region (0 in Germany, 06 in Hungary) or with its international
//     prefix (00). Where numbers have no trunk prefix (Spain, Denmark), or are
//     written without it (ten digits in the United States, Canada and the Caribbean),
//     all digits of a national number are national. Where + in front makes a possible
//     number too, that holds only for a number as long as they usually are, and if
//     both are assigned, for land lines and mobiles.
//
// Whatever could be read in two ways is refused. The number has to be possible, as
// the numbering plan of its country has it, and not assigned, because numbers for
// tests are not. The error says what is wrong, for a person, as a sentence without
// its subject; it does not repeat the value.
func Parse(value, region string) (string, error) {
	if e164, ok := plain(value, region); ok {
		return e164, nil
	}
	switch {
	case scientific(value):
		return "", errShortened
	case decimal(value):
		return "", errFloat
	}
	w, err := read(value)
	if err != nil {
		return "", err
	}
	if err := w.looksLike(region); err != nil {
		return "", err
	}
	digits := w.text()
	if !w.zero && (!w.brackets || region != "") {
		sign := ""
		if w.plus {
			sign = "+"
		}
		if e164, ok := plain(sign+digits, region); ok {
			return e164, nil
		}
	}
	switch {
	case w.plus || w.zero && w.digits[0] != '0':
		return international(digits, w.zero)
	case region != "":
		return national(digits, region, w.zero)
	case digits[0] == '0':
		return "", errors.New("begins with 0, which says no country: write + and the country code, or name the region that such numbers are of (default_region)")
	case w.brackets:
		return "", errors.New("is written without its country: write + and the country code, or name the region that such numbers are of (default_region)")
	case w.n < 8 || w.n > maxDigits:
		return "", fmt.Errorf("has %d digits; with its country code a phone number has 8 to %d", w.n, maxDigits)
	}
	return international(digits, false)
}

// international reads digits that begin with a country code. zero means that a
// "(0)" behind it was left out.
func international(digits string, zero bool) (string, error) {
	e164, err := assured("+"+digits, "")
	if err != nil {
		return "", err
	}
	if code, _ := callingCode(digits); zero && planOf(code).trunk != "0" {
		return "", fmt.Errorf("has a (0), but numbers of +%s have no 0 that is left out; write it without brackets, as it is dialled from abroad", code)
	}
	return e164, nil
}

// assured is the library's reading of a number, if that is a possible one.
func assured(number, region string) (string, error) {
	n, err := phonenumbers.Parse(number, region)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return "", errors.New("begins with a country code that does not exist")
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return "", errors.New("is too short for a phone number")
	case err != nil:
		return "", errors.New("is no phone number")
	}
	code := n.GetCountryCode()
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", fmt.Errorf("has no area code (numbers of +%d)", code)
	case phonenumbers.TOO_SHORT:
		return "", fmt.Errorf("is too short for a number of +%d", code)
	case phonenumbers.TOO_LONG:
		return "", fmt.Errorf("is too long for a number of +%d", code)
	default:
		return "", fmt.Errorf("has not as many digits as a number of +%d has", code)
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	switch {
	case len(e164) < 1+minDigits:
		return "", fmt.Errorf("is too short for a number of +%d", code)
	case len(e164) > 1+maxDigits:
		return "", errLong
	}
	if code == 1 && e164[2] < '2' {
		return "", fmt.Errorf("has an area code that begins with %c, and none of +1 does", e164[2])
	}
	// The library leaves the trunk prefix on a number that is too short without it.
	if n.GetItalianLeadingZero() && planOf(fmt.Sprint(code)).trunk == "0" && !phonenumbers.IsValidNumber(n) {
		return "", fmt.Errorf("has not as many digits as a number of +%d has", code)
	}
	return e164, nil
}

// national reads digits without a + that were written in a region.
func national(digits, region string, zero bool) (string, error) {
	p := regionOf(region)
	if p == nil {
		return "", fmt.Errorf("has no country code, and %q is no region (ISO 3166, two letters)", region)
	}
	abroad, abroadErr := assured("+"+digits, "")
	if p.dialsOut(digits) {
		e164, err := assured(digits, region)
		switch code, _ := callingCode(strings.TrimPrefix(e164, "+")); {
		case err == nil && zero && planOf(code).trunk != "0":
			return "", errBrackets
		case err == nil && abroadErr == nil && e164 != abroad:
			return "", p.unclear()
		}
		return e164, err
	}
	if zero {
		return "", errBrackets // a 0 that is left out stands behind a country code
	}
	home, homeErr := "", errNeither
	if p.writes(digits) {
		home, homeErr = assured(digits, region)
	}
	switch {
	case homeErr == nil && (abroadErr != nil || abroad == home):
		return home, nil
	case homeErr == nil && p.bare(digits) && p.isUsual(home) && (!assigned(abroad) || ordinary(home)):
		return home, nil
	case homeErr == nil, abroadErr == nil:
		return "", p.unclear()
	case !errors.Is(homeErr, errNeither):
		return "", homeErr
	}
	return "", p.unclear()
}

var errNeither = errors.New("is neither national nor international")

// assigned reports whether a number is of a range that is in use. Numbers for
// tests are not, so that it can only decide between two readings.
func assigned(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	return err == nil && phonenumbers.IsValidNumber(n)
}

// ordinary reports whether a number is of a range of land lines or mobiles. Voicemail
// and services have ranges so wide that numbers of other countries fit in (Italy:
// eleven digits from 32 on).
func ordinary(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return true
	}
	return false
}

// Region reads an ISO 3166 code of two letters, in either case, and returns it as
// Parse takes it.
func Region(code string) (string, error) {
	upper := strings.ToUpper(code)
	if len(code) != 2 || !phonenumbers.GetSupportedRegions()[upper] {
		return "", errors.New("expected the two letters of a region in ISO 3166, as DE or US")
	}
	return upper, nil
}
