package temporalclient

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/log"
	"go.uber.org/zap"

	"volley/internal/encryption"
)

var (
	_ log.Logger          = (*logger)(nil)
	_ log.WithLogger      = (*logger)(nil)
	_ log.WithSkipCallers = (*logger)(nil)
)

// sealedEvery is how often is said that something lacks a key: among batches that another
// key sealed every attempt would.
const sealedEvery = time.Minute

// logger writes what the SDK logs to zap.
type logger struct {
	z *zap.Logger
	// sealed has when each message about a missing key was written last; loggers of one
	// share it.
	sealed *sealedTimes
}

type sealedTimes struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// repeated reports whether a line is about a missing key and its like was written a moment ago.
func (l *logger) repeated(msg string, keyvals []any) bool {
	if !slices.ContainsFunc(keyvals, lacksKey) {
		return false
	}
	l.sealed.mu.Lock()
	defer l.sealed.mu.Unlock()
	now := time.Now()
	if last, said := l.sealed.last[msg]; said && now.Sub(last) < sealedEvery {
		return true
	}
	l.sealed.last[msg] = now
	return false
}

// lacksKey reports whether a value of a line says that a key is missing.
func lacksKey(v any) bool {
	switch v := v.(type) {
	case error:
		return strings.Contains(v.Error(), encryption.ErrNoKey.Error())
	case string:
		return strings.Contains(v, encryption.ErrNoKey.Error())
	}
	return false
}

// Logger returns z as the SDK's logger. The place that each line names is the
// SDK's caller.
func Logger(z *zap.Logger) log.Logger {
	return &logger{z.WithOptions(zap.AddCallerSkip(1)), &sealedTimes{last: map[string]time.Time{}}}
}

// Debug logs at debug level.
func (l *logger) Debug(msg string, keyvals ...any) { l.z.Debug(msg, fields(keyvals)...) }

// Info logs at info level.
func (l *logger) Info(msg string, keyvals ...any) { l.z.Info(msg, fields(keyvals)...) }

// Warn logs at warn level.
func (l *logger) Warn(msg string, keyvals ...any) {
	if !l.repeated(msg, keyvals) {
		l.z.Warn(msg, fields(keyvals)...)
	}
}

// Error logs at error level.
func (l *logger) Error(msg string, keyvals ...any) {
	if !l.repeated(msg, keyvals) {
		l.z.Error(msg, fields(keyvals)...)
	}
}

// With returns a logger that adds keyvals to every line.
func (l *logger) With(keyvals ...any) log.Logger {
	return &logger{l.z.With(fields(keyvals)...), l.sealed}
}

// WithCallerSkip returns a logger that leaves out depth more callers.
func (l *logger) WithCallerSkip(depth int) log.Logger {
	return &logger{l.z.WithOptions(zap.AddCallerSkip(depth)), l.sealed}
}

// fields pairs keys with values. A key that is no string is shown as text, and a
// last value without a key under "extra".
func fields(keyvals []any) []zap.Field {
	out := make([]zap.Field, 0, (len(keyvals)+1)/2)
	for i := 0; i < len(keyvals); i += 2 {
		if i+1 == len(keyvals) {
			out = append(out, zap.Any("extra", keyvals[i]))
			break
		}
		key, ok := keyvals[i].(string)
		if !ok {
			key = fmt.Sprint(keyvals[i])
		}
		if err, ok := keyvals[i+1].(error); ok {
			out = append(out, zap.NamedError(key, err))
			continue
		}
		out = append(out, zap.Any(key, keyvals[i+1]))
	}
	return out
}
