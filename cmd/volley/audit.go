package main

import (
	"context"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

// changing are the commands that change something. The name of each is its action.
var changing = []string{
	audit.ActionStart, audit.ActionRedrive, audit.ActionCancel, audit.ActionPause, audit.ActionResume, audit.ActionReschedule,
	audit.ActionHold, audit.ActionRelease, audit.ActionDelete, audit.ActionPurge, audit.ActionSetup,
	audit.ActionKeysetAdd, audit.ActionKeysetPromote, audit.ActionKeysetRetire,
	audit.ActionSuppressAdd, audit.ActionSuppressRemove, audit.ActionSuppressImport, audit.ActionForget, audit.ActionExport,
}

// ofNoTenant are those of them that are about no tenant's batches, or say whose.
var ofNoTenant = []string{
	audit.ActionHold, audit.ActionRelease, audit.ActionPurge, audit.ActionSetup,
	audit.ActionKeysetAdd, audit.ActionKeysetPromote, audit.ActionKeysetRetire,
}

// watchedBatches are batches whose changes are noted for the audit log.
type watchedBatches struct {
	reads
	audit.Changes
	audit.Upkeep
}

// watched makes an opener note the changes of the batches that it opens.
func watched(open opener) opener {
	return func(ctx context.Context, a *app, c *config.Config) (batches, func(), error) {
		b, done, err := open(ctx, a, c)
		if err != nil {
			return nil, nil, err
		}
		return watchedBatches{b, audit.Watch(b), audit.WatchUpkeep(b)}, done, nil
	}
}

// beginAudit begins the record of a command that changes something.
func (a *app) beginAudit(cmd *cobra.Command) {
	action := strings.ReplaceAll(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), " ", "-")
	if !slices.Contains(changing, action) {
		return
	}
	e := audit.Entry{Action: action, Through: audit.ThroughCLI, Actor: a.actor()}
	if starter.ValidID(a.batch) {
		e.Batch = a.batch
	}
	if !slices.Contains(ofNoTenant, action) {
		e.Tenant = a.tenant
	}
	ctx, record := audit.Begin(cmd.Context(), e)
	cmd.SetContext(ctx)
	a.record = record
}

// maxActor is how many bytes of VOLLEY_ACTOR count.
const maxActor = 200

// actor is who uses the command, as VOLLEY_ACTOR says, or else the system.
func (a *app) actor() string {
	if name, _ := a.env.LookupEnv("VOLLEY_ACTOR"); name != "" {
		return message.Clip(name, maxActor)
	}
	name := strconv.Itoa(os.Getuid()) // of a container that knows no names
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// writeAudit ends the record of a command. That it cannot be written does not make the
// command fail, which has done its work.
func (a *app) writeAudit(err error) {
	if a.record == nil {
		return
	}
	result := audit.ResultOK
	if err != nil && exitCode(err) != exitUnsent {
		result = errorCode(err)
	}
	e, ok := a.record.End(result)
	a.record = nil
	c, _, cerr := a.config(config.LoadWithoutSecrets)
	if !ok || cerr != nil || c.AuditFile == "" && c.Index.URL.IsZero() {
		return
	}
	also, closeCopy := a.auditCopy(c)
	o := audit.Options{File: c.AuditFile, Stderr: a.stderr, Now: a.now, Copy: also}
	if werr := audit.New(o).Write(e, ""); werr != nil {
		a.note("the audit log cannot be written: %v", werr)
	}
	closeCopy()
}

// auditCopy is what keeps the lines of a command in the index; nil where there is none. What
// keeps it from that is only noted.
func (a *app) auditCopy(c *config.Config) (also *audit.Copier, done func()) {
	keyset, err := keysetOf(c)
	log, lerr := a.logger("warn")
	if err != nil || lerr != nil {
		return nil, func() {}
	}
	x, err := a.laterIndex(c, keyset)
	if err != nil || x == nil {
		return nil, func() {}
	}
	also = audit.NewCopier(x, log)
	return also, func() {
		also.Close()
		_ = x.Close() // what was written is written
	}
}
