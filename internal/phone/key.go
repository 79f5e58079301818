package phone

import "strings"

// Key is the form in which recipients are compared: without spaces around it, addresses
// of mail in lower case, and phone numbers in E.164, as they are read in a region. Of a
// recipient without @ that is no phone number, the error says why.
func Key(s, region string) (key string, notNumber error) {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, '@') >= 0 {
		return strings.ToLower(s), nil
	}
	e164, err := Parse(s, region)
	if err != nil {
		return s, err
	}
	return e164, nil
}
