package intake

import "volley/internal/phone"

// recipientKey is the form in which recipients are compared, see phone.Key.
func recipientKey(s, region string) string {
	key, _ := phone.Key(s, region)
	return key
}
