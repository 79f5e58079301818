package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Stderr is the name of the file that stands for the process's standard error.
const Stderr = "-"

// Bounds of what those can write who are refused.
const (
	// refusalBurst refusals of one tenant or address have a line each at once; then there
	// is one a second.
	refusalBurst = 100
	// maxSources is how many tenants and addresses are told apart.
	maxSources = 10_000
)

// Options are where a Log writes. The zero value writes nowhere.
type Options struct {
	// File gets the lines; Stderr is Options.Stderr, and empty is Log.
	File   string
	Stderr io.Writer
	// Log gets entries at info where there is no file, and those that cannot be written at
	// error; nil is nowhere.
	Log *zap.Logger
	// Failed is called for every entry that could not be written where it belongs; nil is
	// no call.
	Failed func()
	// Copy gets each line too, wherever else it goes; nil is nobody.
	Copy *Copier
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Log writes entries. It is safe for concurrent use, and several processes may write
// into one file.
type Log struct {
	o Options

	mu      sync.Mutex
	sources map[string]*source
	// swept is when sources that are quiet were last forgotten.
	swept time.Time
	// torn means that the last line was written in part.
	torn bool
}

// source is a tenant or an address that was refused something.
type source struct {
	lines     *rate.Limiter
	unwritten int
}

// New returns a log. It opens the file only to write a line, so that the file may be
// moved away at any time.
func New(o Options) *Log {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Log{o: o, sources: map[string]*source{}}
}

// Check returns why no line could be written; nil is that one could.
func (l *Log) Check() error {
	if l.o.File == "" || l.o.File == Stderr {
		return nil
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	return f.Close()
}

// Write writes an entry. Refusals of one source are written as far as its rate allows,
// and others are counted in the next one; an empty source has no rate. The error has been
// logged and counted: an action does not fail with its line.
func (l *Log) Write(e Entry, source string) error {
	e.Time = l.o.Now().UTC().Truncate(time.Millisecond)
	if source != "" && e.Refused() && !l.admit(&e, source) {
		return nil
	}
	l.o.Copy.add(e)
	if l.o.File == "" {
		l.o.Log.Named("audit").Info(e.Action, zap.Reflect("entry", e))
		return nil
	}
	err := l.append(e)
	if err != nil {
		l.o.Failed()
		l.o.Log.Error("the audit log cannot be written, its line stands here", zap.String("file", l.o.File), zap.Error(err), zap.Reflect("entry", e))
	}
	return err
}

// admit reports whether a refusal has a line of its own.
func (l *Log) admit(e *Entry, from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	if l.sources[from] == nil && len(l.sources) >= maxSources {
		if l.forget(now); len(l.sources) >= maxSources {
			from = ""
		}
	}
	s := l.source(from)
	if !s.lines.AllowN(now, 1) {
		s.unwritten++
		return false
	}
	e.Unwritten, s.unwritten = s.unwritten, 0
	return true
}

func (l *Log) source(from string) *source {
	s := l.sources[from]
	if s == nil {
		s = &source{lines: rate.NewLimiter(1, refusalBurst)}
		l.sources[from] = s
	}
	return s
}

// forget drops the sources that have been quiet for long, at most once a second. What they
// have not told counts for all others together.
func (l *Log) forget(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	others := l.source("")
	for from, s := range l.sources {
		if s != others && s.lines.TokensAt(now) >= refusalBurst {
			others.unwritten += s.unwritten
			delete(l.sources, from)
		}
	}
}

func (l *Log) open() (*os.File, error) {
	return os.OpenFile(l.o.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// append writes a line in one call, which other processes' lines cannot break up.
func (l *Log) append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.o.File == Stderr {
		_, err = l.o.Stderr.Write(line)
		return err
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	defer f.Close()
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.Write(line)
	l.torn = l.torn && n == 0 || n > 0 && n < len(line)
	if err != nil {
		return fmt.Errorf("%d of %d bytes written: %w", n, len(line), err)
	}
	return nil
}
