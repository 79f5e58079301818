package phone

import (
	"fmt"
	"unicode"
)

// IsMark reports whether a character is invisible and says nothing: zero width
// spaces, direction marks, the byte order mark, soft hyphens, control characters.
// They come with numbers that were copied from a page or a contact list.
func IsMark(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f, r == 0xad, r == 0x61c, r == 0x180e:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2064, r >= 0x2066 && r <= 0x206f:
		return true
	}
	return r == 0xfeff
}

// IsBlank reports whether a character is a space of any kind.
func IsBlank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Zs, r) }

// override shows what follows from right to left: the number that a person sees is
// not the one that stands there.
const override = '\u202e'

// NameOf names a character that cannot be seen, as U+200B (zero width space).
func NameOf(r rune) string {
	names := map[rune]string{
		0x00: "null", '\t': "tab", '\n': "line feed", '\r': "carriage return", 0x1b: "escape", 0x7f: "delete",
		0xa0: "no-break space", 0xad: "soft hyphen", 0x200b: "zero width space", 0x200c: "zero width non-joiner",
		0x200d: "zero width joiner", 0x200e: "left-to-right mark", 0x200f: "right-to-left mark",
		0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding", 0x202c: "pop directional formatting",
		0x202d: "left-to-right override", override: "right-to-left override", 0x2060: "word joiner",
		0x2066: "left-to-right isolate", 0x2067: "right-to-left isolate", 0x2068: "first strong isolate",
		0x2069: "pop directional isolate", 0xfeff: "byte order mark",
	}
	name, ok := names[r]
	switch {
	case ok:
	case unicode.IsControl(r):
		name = "control character"
	default:
		return fmt.Sprintf("U+%04X", r)
	}
	return fmt.Sprintf("U+%04X (%s)", r, name)
}
