package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Line and Column are the place in the file, from 1; 0 is unknown.
	Line, Column int
	// Path is the key, as accounts.sinch-eu.key_secret.
	Path string
	// Detail says what was expected. It never holds a secret or a value that came
	// from the environment.
	Detail string
}

// String returns "line:column path: detail".
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d ", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Detail
}

// Error is everything that is wrong with a configuration.
type Error struct {
	// File is the file's name as it was given.
	File     string
	Problems []Problem
}

// Error lists the problems, one a line, after the file's name.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.File + ": " + e.Problems[0].String()
	}
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("%s: %d problems", e.File, len(e.Problems)))
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}
