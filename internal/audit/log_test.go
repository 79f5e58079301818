package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"volley/internal/audit"
)

func entries(t *testing.T, r io.Reader) (all []audit.Entry) {
	t.Helper()
	for e, err := range audit.Read(r) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestSeveralProcessesWriteIntoOneFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	var wg sync.WaitGroup
	for range 8 {
		l := audit.New(audit.Options{File: file}) // each opens the file by itself, as a process would
		wg.Go(func() {
			for range 50 {
				_ = l.Write(audit.Entry{Action: audit.ActionStart, Result: audit.ResultOK, Reason: strings.Repeat("x", 9000)}, "")
			}
		})
	}
	wg.Wait()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	require.Len(t, entries(t, f), 400)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o007, "others read nothing")
}

func TestAFileThatIsMovedAwayIsMadeAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l := audit.New(audit.Options{File: file})
	require.NoError(t, l.Write(audit.Entry{Action: audit.ActionStart, Result: audit.ResultOK}, ""))
	require.NoError(t, os.Rename(file, file+".1"))
	require.NoError(t, l.Write(audit.Entry{Action: audit.ActionCancel, Result: audit.ResultOK}, ""))
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"action":"cancel"`)
}

// What cannot be written is counted, and stands in the log, so that nothing is lost.
func TestALineThatCannotBeWrittenIsLoud(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.ErrorLevel)
	failed := 0
	l := audit.New(audit.Options{File: filepath.Join(t.TempDir(), "none", "audit.jsonl"), Log: zap.New(core), Failed: func() { failed++ }})
	require.ErrorIs(t, l.Check(), os.ErrNotExist)
	require.ErrorIs(t, l.Write(audit.Entry{Action: audit.ActionHold, Result: audit.ResultOK, Account: "hook"}, ""), os.ErrNotExist)
	require.Equal(t, 1, failed)
	require.Equal(t, 1, logs.Len())
	raw, err := json.Marshal(logs.All()[0].ContextMap())
	require.NoError(t, err)
	require.Contains(t, string(raw), `"hook"`)
}

func TestEachSourceOfRefusalsHasARateOfLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	l := audit.New(audit.Options{File: audit.Stderr, Stderr: &out, Now: func() time.Time { return now }})
	refused := audit.Entry{Action: audit.ActionLogin, Result: "unauthorized"}
	for range 1000 {
		require.NoError(t, l.Write(refused, "10.0.0.1"))
	}
	require.NoError(t, l.Write(refused, "10.0.0.2"))
	require.Len(t, entries(t, bytes.NewReader(out.Bytes())), 101)
	now = now.Add(2 * time.Second)
	out.Reset()
	require.NoError(t, l.Write(refused, "10.0.0.1"))
	require.Equal(t, 900, entries(t, &out)[0].Unwritten)
	for range 1000 {
		require.NoError(t, l.Write(audit.Entry{Action: audit.ActionStart, Result: audit.ResultOK}, "10.0.0.1"))
	}
	require.Len(t, entries(t, &out), 1000, "what is done always has its line")
}

// Whoever comes from more addresses than are told apart writes no more for that, and what
// has no line is counted.
func TestSourcesThatAreTooManyShareOneRate(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	l := audit.New(audit.Options{File: audit.Stderr, Stderr: &out, Now: func() time.Time { return now }})
	for i := range 20_000 {
		require.NoError(t, l.Write(audit.Entry{Action: audit.ActionLogin, Result: "unauthorized"}, string(rune(i+0x10000))))
	}
	require.LessOrEqual(t, len(entries(t, &out)), 10_100)
	now = now.Add(time.Hour)
	require.NoError(t, l.Write(audit.Entry{Action: audit.ActionLogin, Result: "unauthorized"}, "x"))
	require.Len(t, entries(t, &out), 1, "those that are quiet are forgotten")
}

func TestLinesThatAreNoEntriesAreToldAndPassedOver(t *testing.T) {
	t.Parallel()
	text := `{"action":"start","result":"ok"}` + "\n" + `{"action":"sta` + "\n\n" + strings.Repeat("x", 3<<20) + "\n" + `{"action":"cancel","result":"ok"}`
	var seen []string
	for e, err := range audit.Read(strings.NewReader(text)) {
		if err != nil {
			require.ErrorIs(t, err, audit.ErrUnreadable)
		}
		seen = append(seen, e.Action)
	}
	require.Equal(t, []string{"start", "", "", "cancel"}, seen)
	broken := errors.New("broken")
	for _, err := range audit.Read(iotest.ErrReader(broken)) {
		require.ErrorIs(t, err, broken)
	}
}
