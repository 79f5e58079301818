package main

import (
	"context"
	"errors"
	"fmt"

	"volley/internal/config"
	"volley/internal/index"
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

// unstartedError is the end of a command that was interrupted before its batch went out.
type unstartedError struct{ err error }

func (e *unstartedError) Error() string { return "interrupted, nothing was started" }

func (e *unstartedError) Unwrap() error { return e.err }

// unstarted adds to an interruption that nothing was started. What interrupts after the
// start, or where nobody can say, comes as another error.
func unstarted(err error) error {
	if !errors.Is(err, context.Canceled) || errors.Is(err, starter.ErrMayHaveStarted) {
		return err
	}
	return &exitError{code: exitFailed, err: &unstartedError{err}}
}

// usage is an error of the caller: wrong flags, arguments or input.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func exitCode(err error) int {
	var e *exitError
	var c *config.Error
	var r *intake.RefusalError
	var same *sameError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, starter.ErrNotFound):
		return exitNotFound
	case errors.Is(err, starter.ErrConflict), errors.As(err, &same):
		return exitConflict
	case errors.Is(err, starter.ErrInvalid), errors.Is(err, index.ErrInvalid), errors.As(err, &c), errors.As(err, &r):
		return exitUsage
	}
	return exitFailed
}

// sentence is what to tell a person; empty is nothing.
func sentence(err error) string {
	if err == nil {
		return ""
	}
	var may *starter.MayHaveStartedError
	if errors.As(err, &may) {
		tenant := ""
		if may.Ref.Tenant != "" && may.Ref.Tenant != starter.DefaultTenant {
			tenant = " --tenant " + may.Ref.Tenant
		}
		return fmt.Sprintf("batch %s may have started: volley status %s%s, or repeat with --id %s", may.Ref.ID, may.Ref.ID, tenant, may.Ref.ID)
	}
	var none *unstartedError
	switch {
	case errors.As(err, &none):
		return none.Error()
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}
