package phone

import "github.com/nyaruka/phonenumbers"

// Country is the region, as two letters of ISO 3166, whose number this is: of one that is
// not assigned, the one to which its calling code mainly belongs. It is empty for a text
// that is no number in E.164, and for numbers of no region, such as +800.
func Country(e164 string) string {
	if len(e164) < 3 || e164[0] != '+' {
		return ""
	}
	code, _ := callingCode(e164[1:])
	if code == "" {
		return ""
	}
	p := planOf(code)
	region := p.region
	if p.general == nil { // several regions have the code
		if n, err := phonenumbers.Parse(e164, ""); err == nil {
			if of := phonenumbers.GetRegionCodeForNumber(n); len(of) == 2 {
				region = of
			}
		}
	}
	if len(region) != 2 {
		return ""
	}
	return region
}
