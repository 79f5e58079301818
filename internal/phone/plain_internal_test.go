// This test is in the package because the short way through it is no part of what
// it offers.
package phone

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
)

// The short way may pass a number on, but then it answers as the library does.
func TestTheShortWayAnswersAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	short, each, least := 0, 40, 50_000
	if testing.Short() {
		each, least = 4, 10_000
	}
	check := func(value, region string) {
		got, ok := plain(value, region)
		if !ok {
			return
		}
		short++
		asked := value
		if region == "" && !strings.HasPrefix(value, "+") {
			asked = "+" + value
		}
		want, err := assured(asked, region)
		if strings.HasPrefix(value, "+") || region == "" {
			want, err = assured(asked, "")
		} else if abroad, no := assured("+"+value, ""); no == nil {
			require.True(t, abroad == got || regionOf(region).bare(value) && regionOf(region).isUsual(got) && (!assigned(abroad) || ordinary(got)), "%q in %q is two numbers", value, region)
		}
		require.NoError(t, err, "%q in %q", value, region)
		require.Equal(t, want, got, "%q in %q", value, region)
	}
	some := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + random.IntN(10))
		}
		return string(b)
	}
	for region := range phonenumbers.GetSupportedRegions() {
		code := fmt.Sprint(phonenumbers.GetCountryCodeForRegion(region))
		var known []string
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE, phonenumbers.PAGER, phonenumbers.VOIP, phonenumbers.UAN} {
			if n := phonenumbers.GetExampleNumberForType(region, kind); n != nil {
				known = append(known, phonenumbers.GetNationalSignificantNumber(n))
			}
		}
		for n := 1; n <= 15; n++ {
			for range each {
				known = append(known, some(n))
			}
			for _, begin := range []string{"0", "1", "8", "9", "15", "019", "00", "90"} {
				known = append(known, begin+some(n))
			}
		}
		for _, national := range known {
			check("+"+code+national, "")
			check(code+national, "")
			check("+"+code+"0"+national, region)
			check("0"+national, region)
			check(national, region)
		}
	}
	require.Greater(t, short, least, "most numbers take it")
}

// In Bulgaria a number may begin with the 0 that is a trunk prefix elsewhere, so that
// the library decides.
func TestTheShortWayLeavesATrunkPrefixThatMayBeANumberToTheLibrary(t *testing.T) {
	t.Parallel()
	_, ok := plain("0888123456", "BG")
	require.False(t, ok)
	_, ok = plain("0151234567", "DE")
	require.True(t, ok)
	got, err := Parse("0888123456", "BG")
	require.NoError(t, err)
	require.Equal(t, "+359888123456", got)
}

func TestPlansKnowEveryRegionOfTheLibrary(t *testing.T) {
	t.Parallel()
	for region := range phonenumbers.GetSupportedRegions() {
		require.NotNil(t, regionOf(region), region)
	}
	var codes []string
	for code := range world().codes {
		codes = append(codes, code)
	}
	require.Contains(t, codes, "800", "countries that are none have plans, too")
	require.Len(t, codes, len(phonenumbers.GetSupportedCallingCodes()))
}
