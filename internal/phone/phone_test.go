package phone_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/phone"
)

// Errors by a part of their sentence.
const (
	date      = "looks like a date"
	amount    = "looks like an amount"
	float     = "with decimals, as a spreadsheet"
	shortened = "scientific notation"
	two       = "looks like two numbers"
	ip        = "looks like an IP address"
	letters   = "letters or other characters"
	unclear   = "write + or 0"
	plusOnly  = "write + and the country code"
	noCountry = "says no country"
	missing   = "written without its country"
	short     = "too short"
	long      = "too long"
	brackets  = "brackets"
	dashes    = "separators stand where digits should"
	reversed  = "right-to-left override"
	lengths   = "not as many digits"
	areaCode  = "an area code that begins with 0"
	noArea    = "no area code"
	unknown   = "country code that does not exist"
	digits    = "with its country code a phone number has 8 to 15"
	tooMany   = "more digits than a phone number has"
	second    = "a second +"
	noZero    = "numbers of +39 have no 0 that is left out"
	nothing   = "it has no digits"
)

// readings is what each value is in each region: a number, or why it is none. A
// region that is not named reads as "*" does.
var readings = map[string]map[string]string{
	// Values that are something else.
	"15550001002.0":             {"*": float},
	"15550001002.00":            {"*": float},
	"15550001002,0":             {"*": float},
	"1,234.50":                  {"*": float},
	"12.50":                     {"*": amount},
	"1.234":                     {"*": amount},
	"123.456":                   {"*": amount, "LU": amount},
	"1.234.567":                 {"*": amount},
	"12.345.678":                {"*": amount, "LV": amount},
	"1.234.567.890":             {"*": amount},
	"612.345.678":               {"": "+612345678", "ES": "+34612345678"},
	"34.612.345.678":            {"": "+34612345678", "ES": "+34612345678"},
	"555.000.1006":              {"": "+5550001006", "US": "+15550001006"},
	"2026-11-28":                {"*": date},
	"28.11.2026":                {"*": date},
	"11/28/2026":                {"*": date},
	"28.11.26":                  {"*": date},
	"10.0.0.17":                 {"*": ip},
	"192.168.100.200":           {"*": ip},
	"20.30.40.50":               {"": ip, "DK": "+4520304050"},
	"1.5555E+10":                {"*": shortened},
	"1,5555e+10":                {"*": shortened},
	"4.91512E+12":               {"*": shortened},
	"555-0101 - 555-0102":       {"*": two},
	"+15550001001/+15550001002": {"*": second},
	"+15550001001 / 5550001002": {"*": tooMany},
	"0151 2345678 / 2345679":    {"*": two},
	"n/a":                       {"*": letters},
	"ann":                       {"*": letters},
	"+15550001001+down":         {"*": second},
	"+15550001001 ext. 5":       {"*": letters},
	"tel:+15550001001":          {"*": letters},
	"":                          {"*": nothing},
	"+":                         {"*": nothing},
	"-":                         {"*": dashes},

	// Numbers with their country.
	"+15550001001":          {"*": "+15550001001"},
	"+1 555 000 1007":       {"*": "+15550001007"},
	"+1555.000.1003":        {"*": "+15550001003"},
	"+1 (555) 000-1003":     {"*": "+15550001003"},
	"+1 – 555 – 000 – 1003": {"*": "+15550001003"},
	"(+49) 30 555 0100":     {"*": "+49305550100"},
	"+44 (0)7700 900123":    {"*": "+447700900123"},
	"+49 (0) 30 555 0100":   {"*": "+49305550100"},
	"49 (0) 30 555 0100":    {"*": "+49305550100"},
	"+4407700900123":        {"*": "+447700900123"},
	"+490305550100":         {"*": "+49305550100"},
	"+49 (0151) 2345678":    {"*": "+491512345678"},
	"+49 5151 / 1234567":    {"*": "+4951511234567"},
	"+390612345678":         {"*": "+390612345678"},
	"+39 (0) 6 12345678":    {"*": noZero},
	"+2250701020304":        {"*": "+2250701020304"},
	"+5491123456789":        {"*": "+5491123456789"},
	"+80012345678":          {"*": "+80012345678"},
	"\uff0b\uff11\uff15\uff15\uff15\uff10\uff10\uff10\uff11\uff10\uff10\uff11": {"*": "+15550001001"},
	"+155500010020":      {"*": long},
	"+1555000":           {"*": short},
	"+491000":            {"*": short},
	"01000":              {"DE": short},
	"+6834002":           {"*": "+6834002"},
	"+999123456789":      {"*": unknown},
	"+0151234567":        {"*": unknown},
	"+49301234567890123": {"*": tooMany},

	// Spaces and invisible characters.
	" +15550001001 ":                      {"*": "+15550001001"},
	"\u00a0+15550001002\u00a0":            {"*": "+15550001002"},
	"\u202a+15550001003\u202c":            {"*": "+15550001003"},
	"\u200b+15550001004":                  {"*": "+15550001004"},
	"\ufeff+1555\u00ad000\u2060 1004\r\n": {"*": "+15550001004"},
	"+1\u2009555\u202f000\u00a01004":      {"*": "+15550001004"},
	"\u2066+15550001004\u2069\t":          {"*": "+15550001004"},
	"\u202e4001000555 1+":                 {"*": reversed},
	"+1555\u202e0001004":                  {"*": reversed},

	// Brackets and separators that no number has.
	"+1 (555) (000) 1003": {"*": brackets},
	"+1 (555 000 1003":    {"*": brackets},
	"+1 555) 000 1003":    {"*": brackets},
	"+1 () 555 000 1003":  {"*": brackets},
	"+1 ((555)) 000 1003": {"*": brackets},
	"+1--555 000 1003":    {"*": dashes},
	"+1 555 000 1003-":    {"*": dashes},
	"-15550001003":        {"*": dashes},
	"0151 (0) 2345678":    {"": noCountry, "*": brackets},

	// Numbers whose country the region says, or nothing does.
	"15550001002":                    {"": "+15550001002", "US": "+15550001002", "CA": "+15550001002", "DE": unclear, "GB": unclear, "CN": unclear, "ES": plusOnly, "IT": plusOnly},
	"1.555.000.1004":                 {"": "+15550001004", "US": "+15550001004", "DE": unclear},
	"447700900123":                   {"": "+447700900123", "GB": unclear, "DE": unclear, "US": "write + or 1"},
	"(555) 000-1006":                 {"": missing, "US": "+15550001006", "CA": "+15550001006", "JM": "+15550001006", "DE": unclear},
	"5550001006":                     {"": "+5550001006", "US": "+15550001006", "CA": "+15550001006", "DE": unclear},
	"361-234-5678":                   {"": "+3612345678", "US": "+13612345678", "HU": "write + or 06"},
	"555-0101":                       {"": digits, "US": noArea, "DE": unclear},
	"0612345678":                     {"": noCountry, "FR": "+33612345678", "US": "could be of more than one country", "JM": "could be of more than one country"},
	"10612345678":                    {"": areaCode, "US": areaCode},
	"+1 061 234 5678":                {"*": areaCode},
	"347 123 4567":                   {"IT": "+393471234567", "VA": "+393471234567"},
	"06 1234 5678":                   {"IT": "+390612345678"},
	"33612345678":                    {"": "+33612345678", "IT": plusOnly, "VA": plusOnly, "LU": plusOnly},
	"621 123 456":                    {"LU": "+352621123456"},
	"27 12 34 56":                    {"LU": "+35227123456"},
	"0151 2345678":                   {"": noCountry, "DE": "+491512345678", "US": "could be of more than one country"},
	"(0151) 2345678":                 {"": noCountry, "DE": "+491512345678"},
	"(0) 151 2345678":                {"": noCountry, "DE": "+491512345678"},
	"0151/23456789":                  {"": noCountry, "DE": "+4915123456789"},
	"0151/123":                       {"": noCountry, "GB": lengths},
	"07700 900123":                   {"": noCountry, "GB": "+447700900123"},
	"06 1 234 5678":                  {"": noCountry, "HU": "+3612345678"},
	"06 12345678":                    {"": noCountry, "IT": "+390612345678", "NL": "+31612345678"},
	"8 912 345 67 89":                {"": unknown, "RU": "+79123456789"},
	"9123456789":                     {"RU": "write + or 8"},
	"612 345 678":                    {"": "+612345678", "ES": "+34612345678"},
	"687 123 456":                    {"": "+687123456", "ES": "+34687123456"},
	"34612345678":                    {"": "+34612345678", "ES": "+34612345678"},
	"20 30 40 50":                    {"DK": "+4520304050"},
	"0049 30 5550100":                {"": noCountry, "DE": "+49305550100", "FR": "+49305550100", "US": "could be of more than one country"},
	"0049 (0) 30 5550100":            {"": noCountry, "DE": "+49305550100"},
	"011 49 30 5550100":              {"": noCountry, "US": "+49305550100"},
	"20261128":                       {"": noArea, "DE": unclear},
	"1250":                           {"": digits, "DE": unclear},
	"123456789012345678901":          {"*": tooMany},
	"+1 555 000 1001 1001 1001 1001": {"*": tooMany},
}

func TestParseReadsEachValueInEachRegion(t *testing.T) {
	t.Parallel()
	for value, byRegion := range readings {
		regions := byRegion
		if want, ok := byRegion["*"]; ok {
			regions = map[string]string{"": want, "US": want, "DE": want, "GB": want, "ES": want, "IT": want}
			for region, own := range byRegion {
				regions[region] = own
			}
			delete(regions, "*")
		}
		for region, want := range regions {
			got, err := phone.Parse(value, region)
			if strings.HasPrefix(want, "+") {
				require.NoError(t, err, "%q in %q", value, region)
				require.Equal(t, want, got, "%q in %q", value, region)
				continue
			}
			require.Empty(t, got, "%q in %q", value, region)
			require.ErrorContains(t, err, want, "%q in %q", value, region)
		}
	}
}

func TestParseNamesNoNumberInItsErrors(t *testing.T) {
	t.Parallel()
	for value := range readings {
		if len(value) < 8 {
			continue
		}
		for _, region := range []string{"", "DE", "US"} {
			if _, err := phone.Parse(value, region); err != nil {
				require.NotContains(t, err.Error(), value)
			}
		}
	}
}

func TestANumberInItsNormalFormStaysAsItIs(t *testing.T) {
	t.Parallel()
	for value, byRegion := range readings {
		for region, want := range byRegion {
			if !strings.HasPrefix(want, "+") {
				continue
			}
			got, err := phone.Parse(want, region)
			if region == "*" {
				got, err = phone.Parse(want, "")
			}
			require.NoError(t, err, value)
			require.Equal(t, want, got, value)
		}
	}
}

func TestRegion(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"DE": "DE", "de": "DE", "US": "US"} {
		got, err := phone.Region(code)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, code := range []string{"", "D", "DEU", "XX", "49", "UK", "001"} {
		_, err := phone.Region(code)
		require.ErrorContains(t, err, "ISO 3166", code)
	}
	_, err := phone.Parse("0151 2345678", "UK")
	require.ErrorContains(t, err, "no region")
}

func FuzzParse(f *testing.F) {
	for value := range readings {
		f.Add(value, "")
		f.Add(value, "DE")
		f.Add(value, "US")
	}
	f.Fuzz(func(t *testing.T, value, region string) {
		got, err := phone.Parse(value, region)
		if err != nil {
			require.Empty(t, got)
			require.NotEmpty(t, err.Error())
			return
		}
		require.Regexp(t, `^\+[1-9][0-9]{6,14}$`, got)
		again, err := phone.Parse(got, region)
		require.NoError(t, err)
		require.Equal(t, got, again, "the normal form is its own")
	})
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string][2]string{
		"normal":           {"+15550001001", ""},
		"digits":           {"4915112345678", ""},
		"national":         {"015112345678", "DE"},
		"without a prefix": {"5550001001", "US"},
		"with separators":  {"+1 (555) 000-1001", ""},
		"refused":          {"n/a", ""},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = phone.Parse(in[0], in[1])
			}
		})
	}
}
