package message

import "strings"

// Encodings of an SMS.
const (
	EncodingGSM7 = "GSM-7"
	EncodingUCS2 = "UCS-2"
)

// SMS is what a text takes as an SMS.
type SMS struct {
	// Encoding is EncodingGSM7, or EncodingUCS2 where a character of the text is in neither
	// of the two tables of GSM 7 bit.
	Encoding string `json:"encoding"`
	// Units are septets or UTF-16 code units, and Parts the messages that they are sent in.
	Units int `json:"units"`
	Parts int `json:"parts"`
}

// The tables of the GSM 7 bit default alphabet and of its extension, of which each
// character takes two septets (3GPP TS 23.038, 6.2.1 and 6.2.1.1).
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// Units that fit into a message alone, and into each part of a longer one, whose header
// takes six bytes of 140 (3GPP TS 23.040, 9.2.3.24.1).
const (
	gsmSingle, gsmPart = 160, 153
	ucsSingle, ucsPart = 70, 67
)

// CountSMS counts a text as SMS. A character that takes two units is never split between
// two parts. National tables of GSM 7 bit are not used, since few networks have them.
func CountSMS(text string) SMS {
	out, ok := count(EncodingGSM7, text, gsmSingle, gsmPart, gsmWidth)
	if !ok {
		out, _ = count(EncodingUCS2, text, ucsSingle, ucsPart, ucsWidth)
	}
	return out
}

// count is false where a character has no width.
func count(encoding, text string, single, part int, width func(rune) int) (SMS, bool) {
	out := SMS{Encoding: encoding, Parts: 1}
	room := part
	for _, r := range text {
		w := width(r)
		if w == 0 {
			return SMS{}, false
		}
		if w > room {
			out.Parts++
			room = part
		}
		room -= w
		out.Units += w
	}
	if out.Units <= single {
		out.Parts = 1
	}
	return out, true
}

func gsmWidth(r rune) int {
	switch {
	case r == ' ', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return 1 // most of them
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtension, r):
		return 2
	}
	return 0
}

func ucsWidth(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
