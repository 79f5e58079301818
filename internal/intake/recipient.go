package intake

import (
	"strings"

	"volley/internal/phone"
)

// recipientKey is the form in which recipients are compared: without spaces around
// it, addresses of mail in lower case, and phone numbers in E.164, as they are read
// in a region.
func recipientKey(s, region string) string {
	key, _ := readRecipient(s, region)
	return key
}

// readRecipient is recipientKey that says why a recipient without @ is no phone number.
func readRecipient(s, region string) (key string, notNumber error) {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, '@') >= 0 {
		return strings.ToLower(s), nil
	}
	e164, err := phone.Parse(s, region)
	if err != nil {
		return s, err
	}
	return e164, nil
}
