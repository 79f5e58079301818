package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"volley/internal/intake"
	"volley/internal/message"
)

// spoolBytes is how much of a spool is in memory.
const spoolBytes = 256 << 10

// problemLog takes the problems of a request one by one, in memory that does not
// grow with their number.
type problemLog struct {
	// limit is how many are wanted, or how many kinds of them in groups; -1 is all.
	limit int
	// groups gathers them for a person; nil keeps them for a document.
	groups *intake.ProblemGroups

	found int
	kept  spool
}

// Add takes problems in.
func (l *problemLog) Add(problems ...message.Problem) error {
	for _, p := range problems {
		l.found++
		switch {
		case l.groups != nil:
			l.groups.Add(p)
		case l.limit < 0 || l.found <= l.limit:
			if err := l.kept.add(p); err != nil {
				return fmt.Errorf("keep the problems: %w", err)
			}
		}
	}
	return nil
}

// show lists the problems for a person.
func (l *problemLog) show(a *app) {
	if l.groups != nil {
		a.showGroups(l.groups, l.limit)
	}
}

func (l *problemLog) close() { l.kept.close() }

// printWith writes the one document of a command with the problems of log.
func (a *app) printWith(doc any, log *problemLog) error {
	w := bufio.NewWriter(a.stdout)
	if err := writeWith(w, doc, log, false); err != nil {
		return err
	}
	return w.Flush()
}

// writeWith writes doc with the problems of log in place of its empty list "problems".
// goesOn means that the object has been begun already.
func writeWith(w *bufio.Writer, doc any, log *problemLog, goesOn bool) error {
	var text bytes.Buffer
	if err := encode(&text, doc); err != nil {
		return err
	}
	before, behind, ok := bytes.Cut(text.Bytes(), []byte(`"problems":[]`))
	if !ok {
		return errors.New("the document has no place for problems")
	}
	if goesOn {
		before = before[1:]
	}
	_, _ = w.Write(before) // Flush tells of every error
	_, _ = w.WriteString(`"problems":[`)
	if err := log.kept.writeTo(w); err != nil {
		return err
	}
	_, _ = w.WriteString("]")
	_, _ = w.Write(behind)
	return nil
}

// spool is a list of JSON values of any length: what is too much for memory lies
// in a file that has no name where the system allows that. The zero value is
// empty.
type spool struct {
	n    int
	held bytes.Buffer
	file *os.File
}

func (s *spool) add(v any) error {
	if s.n > 0 {
		s.held.WriteByte(',')
	}
	s.n++
	if err := encode(&s.held, v); err != nil {
		return err
	}
	s.held.Truncate(s.held.Len() - 1) // the line's end
	if s.held.Len() < spoolBytes {
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "volley-*")
		if err != nil {
			return err
		}
		_ = os.Remove(f.Name()) // else close does it
		s.file = f
	}
	_, err := s.held.WriteTo(s.file)
	return err
}

// writeTo writes the values with commas between them.
func (s *spool) writeTo(w io.Writer) error {
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(w, s.file); err != nil {
			return err
		}
	}
	_, err := w.Write(s.held.Bytes())
	return err
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // nothing in it is needed any more
		_ = os.Remove(s.file.Name())
	}
}
