package phone_test

import (
	"fmt"

	"volley/internal/phone"
)

// A number is read as people write it; what only looks like one is refused with the reason.
func ExampleParse() {
	for _, number := range []struct{ written, region string }{
		{"+44 (0)7700 900123", ""},
		{"0151 23456789", "DE"},
		{"0151 23456789", ""},
		{"2026-11-28", ""},
		{"1.5555E+10", "US"},
	} {
		e164, err := phone.Parse(number.written, number.region)
		if err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println(e164)
	}
	// Output:
	// +447700900123
	// +4915123456789
	// refused: begins with 0, which says no country: write + and the country code, or name the region that such numbers are of (default_region)
	// refused: looks like a date
	// refused: looks like a number that a spreadsheet shortened (scientific notation); format the column as text
}
