package message

import (
	"fmt"
	"strings"
)

// Problem codes. The set is closed: scripts switch on it.
const (
	CodeRequired     = "required"
	CodeType         = "type"
	CodeUnknownField = "unknown_field"
	CodeTooLong      = "too_long"
	CodeTooShort     = "too_short"
	CodeTooMany      = "too_many"
	CodeTooFew       = "too_few"
	CodeFormat       = "format"
	CodeRange        = "range"
	CodeEnum         = "enum"
	CodeConflict     = "conflict"
	CodeHorizon      = "horizon"
	CodeParameter    = "parameter"
	CodeUnroutable   = "unroutable"
	// CodeRecipient: the recipient cannot be an address of the kind that the accounts
	// of its message need.
	CodeRecipient = "recipient"
	// CodeExcluded is that of a message which the caller asked to leave out.
	CodeExcluded = "excluded"
	// CodeSuppressed is that of a message whose recipient is on the suppression list.
	CodeSuppressed = "suppressed"
	// CodeDuplicate is that of a message which repeats an earlier one, and of the
	// warning that there are such.
	CodeDuplicate = "duplicate"
	// CodeUnused is that of a warning: something was given that nothing uses.
	CodeUnused = "unused"
)

// WholeBatch is the Index of a problem that concerns the request and not one of
// its messages.
const WholeBatch = -1

// Problem is one thing that is wrong with a request, at one place of it.
type Problem struct {
	// Index is the message's position from 0, or WholeBatch.
	Index int `json:"index"`
	// Path is the place in the caller's own document, as messageRequests[2].body.
	// It is empty when the document as a whole cannot be read.
	Path string `json:"path"`
	// Code is one of the Code constants.
	Code string `json:"code"`
	// Detail says what was expected, for a person.
	Detail string `json:"detail"`
}

// Place returns "path: detail".
func (p Problem) Place() string {
	if p.Path == "" {
		return p.Detail
	}
	return p.Path + ": " + p.Detail
}

// String returns "path: detail (code)".
func (p Problem) String() string { return fmt.Sprintf("%s (%s)", p.Place(), p.Code) }

// Problems are all problems of one request. A nil Problems is none.
type Problems []Problem

// maxProblemText bounds the path and the detail of a problem, in bytes: what a caller
// wrote once may be wrong in every message.
const maxProblemText = 1000

// Add appends a problem; detail is a format. Long paths, texts among the arguments, and
// details are clipped.
func (p *Problems) Add(index int, path, code, detail string, args ...any) {
	if len(args) > 0 {
		for i, a := range args {
			if s, ok := a.(string); ok && len(s) > maxProblemText {
				args[i] = Clip(s, maxProblemText)
			}
		}
		detail = fmt.Sprintf(detail, args...)
	}
	*p = append(*p, Problem{Index: index, Path: Clip(path, maxProblemText), Code: code, Detail: Clip(detail, maxProblemText)})
}

// maxExcerpt is how many bytes of a caller's value are shown.
const maxExcerpt = 100

// Excerpt is a caller's value as it is quoted in what is said of it: one of more than 100
// bytes is clipped.
func Excerpt(s string) string {
	if len(s) <= maxExcerpt {
		return s
	}
	return Clip(s, maxExcerpt) + "…"
}

// Whole reports whether one of the problems concerns the whole batch, so that
// none of it may run.
func (p Problems) Whole() bool {
	for _, q := range p {
		if q.Index == WholeBatch {
			return true
		}
	}
	return false
}

// Error joins the problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, q := range p {
		lines[i] = q.String()
	}
	return strings.Join(lines, "\n")
}

// AtLine is what a problem of the message begins with: its line, where it has one.
func (m *Message) AtLine() string {
	if m.Line == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", m.Line)
}
