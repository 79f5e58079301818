package phone_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"

	"volley/internal/phone"
)

const fromCountries = "US CA MX BR AR CL CO PE DE FR GB IT ES PT NL BE LU AT CH DK NO SE FI IE PL CZ SK HU RO BG GR HR SI EE LV LT RU UA TR IL AE SA IN CN JP KR SG AU NZ ZA NG EG"

// Mobiles of one country, written as digits without +, that are just as well land
// lines or mobiles of the region, as long as they usually are there. Nobody could write
// those of the region without + if they were refused.
var bothOrdinary = map[string][]string{"MX": {"DK", "NO", "SG"}}

func TestANumberOfAnotherCountryIsNotReadAsNational(t *testing.T) {
	t.Parallel()
	misread := map[string][]string{}
	for _, in := range slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions())) {
		for _, from := range strings.Fields(fromCountries) {
			want := phonenumbers.Format(phonenumbers.GetExampleNumberForType(from, phonenumbers.MOBILE), phonenumbers.E164)
			got, err := phone.Parse(strings.TrimPrefix(want, "+"), in)
			if err == nil && got != want {
				misread[in] = append(misread[in], from)
			}
		}
	}
	require.Equal(t, bothOrdinary, misread)
}
