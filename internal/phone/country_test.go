package phone_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/phone"
)

func TestCountryIsThatOfTheNumber(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+4915123456789": "DE", "+436641234567": "AT", "+12125550123": "US", "+14165550123": "CA", "+447700900123": "GB",
		"+79161234567": "RU", "+77011234567": "KZ", "+80012345678": "", "+999123456789": "", "+": "", "": "", "ann@example.com": "",
		"4915123456789": "", "+15550001111": "US",
	} {
		require.Equal(t, want, phone.Country(number), "of %q", number)
	}
}

func BenchmarkCountry(b *testing.B) {
	for b.Loop() {
		phone.Country("+4915123456789")
		phone.Country("+12125550123")
	}
}
