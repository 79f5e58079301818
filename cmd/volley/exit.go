package main

import (
	"context"
	"errors"
	"fmt"

	"volley/internal/config"
	"volley/internal/intake"
	"volley/starter"
)

// Exit codes. Scripts depend on them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitUnsent   = 3
	exitNotFound = 4
	exitConflict = 5
)

// exitError ends the program with a code. A nil err means that everything has
// been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error of the caller: wrong flags, arguments or input.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func exitCode(err error) int {
	var e *exitError
	var c *config.Error
	var r *intake.RefusalError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, starter.ErrNotFound):
		return exitNotFound
	case errors.Is(err, starter.ErrConflict):
		return exitConflict
	case errors.Is(err, starter.ErrInvalid), errors.As(err, &c), errors.As(err, &r):
		return exitUsage
	}
	return exitFailed
}

// sentence is what to tell a person; empty is nothing.
func sentence(err error) string {
	if err == nil {
		return ""
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
