package audit_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/audit"
	"volley/internal/index"
)

// database keeps lines in memory, unless it is away.
type database struct {
	mu    sync.Mutex
	away  error
	lines []index.AuditEntry
}

func (d *database) Record(_ context.Context, entries []index.AuditEntry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away == nil {
		d.lines = append(d.lines, entries...)
	}
	return d.away
}

func (d *database) set(away error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}

func TestLinesAreCopiedAndADatabaseThatIsAwayFailsNoAction(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	synctest.Test(t, func(t *testing.T) {
		d := &database{away: errors.New("away")}
		c := audit.NewCopier(d, nil)
		defer c.Close()
		log := audit.New(audit.Options{File: file, Copy: c})
		for _, action := range []string{audit.ActionStart, audit.ActionCancel} {
			require.NoError(t, log.Write(audit.Entry{Action: action, Result: audit.ResultOK, Tenant: "acme", Actor: "crm", Through: audit.ThroughHTTP, Batch: "b", Reason: "why"}, ""))
		}
		time.Sleep(time.Minute)
		d.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, d.lines, 2)
		e := d.lines[1]
		require.Equal(t, []string{"cancel", "ok", "acme", "crm", "http", "b", "why"}, []string{e.Action, e.Result, e.Tenant, e.Actor, e.Through, e.Batch, e.Reason})
		require.Contains(t, string(e.Line), `"action":"cancel"`)
	})
}

func TestClosingCopiesWhatWaits(t *testing.T) {
	t.Parallel()
	d := &database{}
	c := audit.NewCopier(d, nil)
	log := audit.New(audit.Options{File: filepath.Join(t.TempDir(), "audit.jsonl"), Copy: c})
	require.NoError(t, log.Write(audit.Entry{Action: audit.ActionHold, Result: audit.ResultOK}, ""))
	c.Close()
	require.Len(t, d.lines, 1)
}
