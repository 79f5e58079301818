package dialect

import "encoding/csv"

// quoting follows the quotes of a row of CSV that is too long to be read. It begins at
// the beginning of a row. It takes what encoding/csv takes, in text without CR.
type quoting struct {
	separator byte
	state     quotingState
	// column is how many bytes of the line have been read.
	column int
	// begin is the line on which the row begins.
	begin int
}

type quotingState int

const (
	atCell   quotingState = iota // before the first byte of a cell
	inBare                       // in a cell without quotes
	inQuotes                     // behind an opening quote
	atQuote                      // behind a quote inside of quotes
)

// rowEnd is the index behind the row's end, or 0 if that is not in data, which
// begins on a line of the file. A quote that must not be there makes the row
// broken.
func (q *quoting) rowEnd(data []byte, line int) (end int, broken string) {
	for i, c := range data {
		q.column++
		was := q.state
		switch was {
		case atCell, inBare:
			q.state = inBare
			switch {
			case c == q.separator:
				q.state = atCell
			case c == '\n':
				return i + 1, ""
			case c == '"' && was == inBare:
				return 0, q.detail(csv.ErrBareQuote, line, q.column)
			case c == '"':
				q.state = inQuotes
			}
		case inQuotes:
			if c == '"' {
				q.state = atQuote
			}
		case atQuote:
			switch c {
			case '\n':
				return i + 1, ""
			case '"':
				q.state = inQuotes
			case q.separator:
				q.state = atCell
			default:
				return 0, q.detail(csv.ErrQuote, line, q.column-1)
			}
		}
		if c == '\n' {
			line++
			q.column = 0
		}
	}
	return 0, ""
}

// end is what is wrong with a row that the file ends in; usually nothing.
func (q *quoting) end(line int) string {
	if q.state == inQuotes {
		return q.detail(csv.ErrQuote, line, q.column+1)
	}
	return ""
}

func (q *quoting) detail(err error, line, column int) string {
	return csvDetail(&csv.ParseError{StartLine: q.begin, Line: line, Column: column, Err: err}, 1)
}
