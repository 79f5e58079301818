package phone

import (
	"errors"
	"strings"
)

// Bounds of what is read. E.164 numbers have at most 15 digits; an international
// prefix like 0011 may stand before them. The shortest numbers in use have 7 with
// their country code (Niue, Tokelau); shorter ones are extensions and services that
// cannot be reached from abroad, which the library calls possible in some countries
// (+49 from two digits on).
const (
	minDigits  = 7
	maxDigits  = 15
	maxWritten = maxDigits + 4
	maxGroups  = 12
	// maxLength bounds a value in bytes.
	maxLength = 250
)

// notation is a phone number as it was written: its digits in groups.
type notation struct {
	digits [maxWritten]byte
	n      int
	// plus means that a + stands in front.
	plus bool
	// zero means that "(0)" stood behind the country code; it is not in digits.
	zero bool
	// brackets means that the first digits stand in brackets.
	brackets bool
	// ends are the ends of the groups in digits, and gaps what stands before each:
	// a separator, ' ' for spaces only, '~' for a separator between spaces.
	ends   [maxGroups]int
	gaps   [maxGroups]byte
	groups int
}

func (w *notation) text() string { return string(w.digits[:w.n]) }

// group returns the digits of the group at i.
func (w *notation) group(i int) string {
	begin := 0
	if i > 0 {
		begin = w.ends[i-1]
	}
	return string(w.digits[begin:w.ends[i]])
}

// lexer reads a value into a notation, character by character.
type lexer struct {
	out notation
	// gap is what stands between the last group and the next; 0 is nothing.
	gap byte
	// open is where in digits an open bracket began, or -1; pairs counts those closed.
	open, pairs int
	// inGroup means that the last character was a digit, or a mark behind one.
	inGroup bool
}

var (
	errLetters  = errors.New("is no phone number: it has letters or other characters that no number has")
	errSecond   = errors.New("has a second +: are these two numbers?")
	errBrackets = errors.New("has brackets that no phone number has")
	errTwo      = errors.New("looks like two numbers")
	errLong     = errors.New("has more digits than a phone number has (15)")
	errReversed = errors.New("has " + NameOf(override) + ", which shows its digits in another order")
	errDashes   = errors.New("is no phone number: separators stand where digits should")
	errNothing  = errors.New("is no phone number: it has no digits")
)

// read checks that a value has the shape of one phone number.
func read(value string) (*notation, error) {
	if len(value) > maxLength {
		return nil, errLong
	}
	l := lexer{open: -1}
	for _, r := range strings.TrimFunc(value, func(r rune) bool { return r != override && (IsMark(r) || IsBlank(r)) }) {
		if err := l.next(r); err != nil {
			return nil, err
		}
	}
	switch {
	case l.open >= 0:
		return nil, errBrackets
	case l.out.n == 0:
		return nil, errNothing
	case l.gap != 0 && l.gap != ' ':
		return nil, errDashes
	}
	return &l.out, nil
}

func (l *lexer) next(r rune) error {
	digit, isDigit := digitOf(r)
	switch {
	case isDigit:
		return l.digit(digit)
	case r == override:
		return errReversed
	case IsBlank(r): // tabs and line ends are both blank and marks
		l.space()
	case IsMark(r):
	case r == '+' || r == '\uff0b':
		if l.out.plus || l.out.n > 0 {
			return errSecond
		}
		if l.gap != 0 && l.gap != ' ' {
			return errDashes
		}
		l.out.plus = true
	case r == '(' || r == '\uff08':
		if l.open >= 0 || l.pairs > 1 {
			return errBrackets
		}
		l.open, l.inGroup = l.out.n, false
		if l.gap == 0 {
			l.gap = ' '
		}
	case r == ')' || r == '\uff09':
		return l.close()
	case strings.ContainsRune("-./\u2010\u2011\u2012\u2013\u2014\u2015\u2212", r):
		return l.separator(r)
	default:
		return errLetters
	}
	return nil
}

// digitOf reads a decimal digit: ASCII, full width, Arabic, Persian, Devanagari.
func digitOf(r rune) (byte, bool) {
	for _, zero := range [...]rune{'0', 0xff10, 0x660, 0x6f0, 0x966} {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

func (l *lexer) digit(c byte) error {
	w := &l.out
	if w.n == maxWritten {
		return errLong
	}
	if !l.inGroup {
		if w.groups == maxGroups {
			return errLong
		}
		w.gaps[w.groups] = l.gap
		w.groups++
		l.gap, l.inGroup = 0, true
	}
	w.digits[w.n] = c
	w.n++
	w.ends[w.groups-1] = w.n
	return nil
}

func (l *lexer) space() {
	switch l.gap {
	case 0:
		l.gap = ' '
	case ' ', '~':
	default:
		l.gap = '~' // a separator and then a space
	}
	l.inGroup = false
}

func (l *lexer) separator(r rune) error {
	switch {
	case l.out.n == 0 || l.open >= 0 || l.gap != 0 && l.gap != ' ':
		return errDashes
	case l.gap == ' ':
		l.gap = '~'
	case r == '.' || r == '/':
		l.gap = byte(r)
	default:
		l.gap = '-'
	}
	l.inGroup = false
	return nil
}

// close ends a pair of brackets. What stands in them is an area code, a country
// code with its +, or the trunk prefix that is left out behind a country code.
func (l *lexer) close() error {
	w := &l.out
	begin := l.open
	if begin < 0 || w.n == begin || w.n-begin > 6 {
		return errBrackets
	}
	l.open, l.inGroup, l.gap = -1, false, ' '
	if begin > 0 && w.n-begin == 1 && w.digits[begin] == '0' {
		if w.zero || !w.plus && begin > 3 && w.digits[0] != '0' || w.plus && begin > 3 {
			return errBrackets
		}
		w.zero = true
		w.n--
		w.groups--
		return nil
	}
	if l.pairs++; l.pairs > 1 {
		return errBrackets
	}
	w.brackets = begin == 0 && !w.plus
	return nil
}
