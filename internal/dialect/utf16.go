package dialect

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// byteOrder is that of UTF-16 whose byte order mark text begins with; else nil.
func byteOrder(text []byte) binary.ByteOrder {
	switch {
	case len(text) < 2:
	case text[0] == 0xff && text[1] == 0xfe:
		return binary.LittleEndian
	case text[0] == 0xfe && text[1] == 0xff:
		return binary.BigEndian
	}
	return nil
}

// notUTF8 stands for half a surrogate pair or half a code unit. The decoder of
// golang.org/x/text makes them U+FFFD, which nobody could tell from the caller's own.
const notUTF8 = 0xff

// utf16Reader reads UTF-16 as UTF-8.
type utf16Reader struct {
	r     io.Reader
	order binary.ByteOrder
	// in holds bytes that were read and begin a character, kept of them.
	in   [8 << 10]byte
	kept int
	// out is what has been decoded, and at how much of it has been taken.
	out []byte
	at  int
	err error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for u.at == len(u.out) {
		if u.err != nil {
			return 0, u.err
		}
		n, err := u.r.Read(u.in[u.kept:])
		u.err = err
		u.decode(u.in[:u.kept+n], err != nil)
	}
	n := copy(p, u.out[u.at:])
	u.at += n
	return n, nil
}

// decode fills out, and keeps a character that is not complete unless it is the last.
func (u *utf16Reader) decode(in []byte, last bool) {
	u.out, u.at = u.out[:0], 0
	for len(in) >= 2 {
		r := rune(u.order.Uint16(in))
		size := 2
		if utf16.IsSurrogate(r) {
			if len(in) < 4 && !last {
				break
			}
			low := rune(0)
			if len(in) >= 4 {
				low = rune(u.order.Uint16(in[2:]))
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				u.out = append(u.out, notUTF8)
				in = in[2:]
				continue
			}
			size = 4
		}
		u.out = utf8.AppendRune(u.out, r)
		in = in[size:]
	}
	if last && len(in) > 0 && errors.Is(u.err, io.EOF) {
		u.out = append(u.out, notUTF8)
		in = nil
	}
	u.kept = copy(u.in[:], in)
}
