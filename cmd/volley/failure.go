package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"volley/internal/index"
	"volley/internal/temporalclient"
	"volley/starter"
)

// errorDocument is what a command that fails prints with -o json, unless it has printed
// its own document.
type errorDocument struct {
	// ID is the batch that may have started.
	ID    string       `json:"id,omitempty"`
	Error errorDetails `json:"error"`
}

type errorDetails struct {
	// Code is one of the names that errorCode returns.
	Code    string `json:"code"`
	Message string `json:"message"`
	// ID is the batch that the command was about; empty is none.
	ID string `json:"id"`
}

// failed prints what a command failed with: a sentence for a person, and with -o json a
// document where stdout has none yet.
func (a *app) failed(err error, args []string) {
	text := sentence(err)
	if text == "" {
		return
	}
	for line := range strings.SplitSeq("volley: "+text, "\n") {
		fmt.Fprintln(a.stderr, printable(line))
	}
	if out, ok := a.stdout.(*noted); !ok || out.wrote || !a.json() && !wantsJSON(args) {
		return
	}
	doc := errorDocument{Error: errorDetails{Code: errorCode(err), Message: text, ID: a.batch}}
	var may *starter.MayHaveStartedError
	if errors.As(err, &may) {
		doc.ID, doc.Error.ID = may.Ref.ID, may.Ref.ID
	}
	_ = a.print(doc)
}

// errorCode is the name of an error in documents.
func errorCode(err error) string {
	for _, c := range []struct {
		err  error
		code string
	}{
		{starter.ErrMayHaveStarted, "may_have_started"},
		{starter.ErrMayHaveChanged, "may_have_changed"},
		{context.Canceled, "interrupted"},
		{starter.ErrNotFound, "not_found"},
		{starter.ErrConflict, "conflict"},
		{starter.ErrNoWorker, "no_worker"},
		{starter.ErrUnreachable, "unreachable"},
		{starter.ErrBusy, "unreachable"},
		{temporalclient.ErrNoAnswer, "unreachable"},
		{index.ErrUnavailable, "unreachable"},
		{context.DeadlineExceeded, "unreachable"},
		{starter.ErrEnded, "ended"},
		{starter.ErrStillRunning, "runs"},
		{starter.ErrRefused, "refused"},
		{starter.ErrStore, "store"},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	switch exitCode(err) {
	case exitUsage:
		return "invalid"
	case exitNotFound:
		return "not_found"
	case exitConflict:
		return "conflict"
	}
	return "failed"
}

// wantsJSON reports whether arguments ask for JSON, also where they could not all be
// read.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	for i, arg := range args {
		switch value, ok := strings.CutPrefix(arg, "--output="); {
		case ok && value == "json", arg == "-ojson", arg == "-o=json":
			return true
		case (arg == "-o" || arg == "--output") && i+1 < len(args) && args[i+1] == "json":
			return true
		}
	}
	return false
}

// noted is a writer that knows whether anything was written.
type noted struct {
	io.Writer
	wrote bool
}

// Write notes that there was something to write.
func (n *noted) Write(p []byte) (int, error) {
	n.wrote = n.wrote || len(p) > 0
	return n.Writer.Write(p)
}

// plain is the writer itself, which may be a terminal.
func plain(w io.Writer) io.Writer {
	if n, ok := w.(*noted); ok {
		return n.Writer
	}
	return w
}
