package audit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"volley/internal/message"
)

// Where an action came in.
const (
	ThroughHTTP = "http"
	ThroughCLI  = "cli"
	// ThroughConsole is a page of the console.
	ThroughConsole = "console"
)

// Actions.
const (
	ActionStart      = "start"
	ActionCancel     = "cancel"
	ActionPause      = "pause"
	ActionResume     = "resume"
	ActionReschedule = "reschedule"
	ActionRedrive    = "redrive"
	ActionHold       = "hold"
	ActionRelease    = "release"
	ActionDelete     = "delete"
	ActionPurge      = "purge"
	ActionSetup      = "setup"
	ActionLogin      = "login"

	ActionKeysetAdd     = "keyset-add"
	ActionKeysetPromote = "keyset-promote"
	ActionKeysetRetire  = "keyset-retire"

	ActionSuppressAdd    = "suppress-add"
	ActionSuppressRemove = "suppress-remove"
	ActionSuppressImport = "suppress-import"
	ActionForget         = "forget"
	ActionExport         = "export"
)

// Actions lists all of them.
func Actions() []string {
	return []string{
		ActionStart, ActionCancel, ActionPause, ActionResume, ActionReschedule, ActionRedrive, ActionHold, ActionRelease,
		ActionDelete, ActionPurge, ActionSetup, ActionLogin, ActionKeysetAdd, ActionKeysetPromote, ActionKeysetRetire,
		ActionSuppressAdd, ActionSuppressRemove, ActionSuppressImport, ActionForget, ActionExport,
	}
}

// Results of actions; others are the codes of failures.
const (
	ResultOK = "ok"
	// ResultRecorded: the action will be done, and no worker has confirmed it.
	ResultRecorded = "recorded"
)

// maxBatches is how many batches an entry names.
const maxBatches = 100

// Entry is one line of the log.
type Entry struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	// Result is ok, recorded, or the code of the failure.
	Result string `json:"result"`
	// Tenant is the one with the key, or whose batches the command is about; empty is not
	// known, or all.
	Tenant string `json:"tenant,omitempty"`
	// Actor is the name of the key or of the person, or who used the command; empty is not
	// known.
	Actor string `json:"actor,omitempty"`
	// Role is that of an actor who is a person of the configuration; empty is a key, or
	// whoever used the command.
	Role string `json:"role,omitempty"`
	// Through is one of the Through constants.
	Through string `json:"through"`
	Dialect string `json:"dialect,omitempty"`
	// Batch is the one that the action is about, and NewBatch the one that a redrive
	// started. Batches are the first hundred where there are several.
	Batch    string   `json:"batch,omitempty"`
	NewBatch string   `json:"newBatch,omitempty"`
	Batches  []string `json:"batches,omitempty"`
	// Account is the one that is held or released, or that a redrive leaves through.
	Account string `json:"account,omitempty"`
	// Key is the id of the key that is added, promoted or retired.
	Key uint32 `json:"key,omitempty"`
	// HeldTenant is whose messages are held or released; empty is everybody's, or those of
	// what else is held.
	HeldTenant string `json:"heldTenant,omitempty"`
	// Selector names what chose the messages, without its values, and Selected is how many
	// it met; nil is not known.
	Selector []string `json:"selector,omitempty"`
	Selected *int     `json:"selected,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	// Existing means that a start was a repetition.
	Existing bool           `json:"existing,omitempty"`
	Counts   map[string]int `json:"counts,omitempty"`
	// Unwritten is how many refusals before this one, of the same tenant or address, have
	// no line of their own.
	Unwritten int `json:"unwritten,omitempty"`
	// Request is the X-Request-Id of a request over HTTP, Route its pattern, and Remote the
	// address that it came from. Forwarded is what a proxy, or whoever it was, says of that.
	Request   string `json:"request,omitempty"`
	Route     string `json:"route,omitempty"`
	Remote    string `json:"remote,omitempty"`
	Forwarded string `json:"forwarded,omitempty"`
}

// Refused reports whether nothing was done.
func (e *Entry) Refused() bool { return e.Result != ResultOK && e.Result != ResultRecorded }

// Record is an entry while its action is under way. Its methods may be called on nil,
// where they do nothing.
type Record struct {
	mu    sync.Mutex
	entry Entry
	// failed and done say what became of the changes of batches.
	failed, done bool
	recorded     bool
	skipped      bool
}

type recordKey struct{}

// Begin begins a record, which the context carries.
func Begin(ctx context.Context, e Entry) (context.Context, *Record) {
	r := &Record{entry: e}
	return context.WithValue(ctx, recordKey{}, r), r
}

// Of is the record that a context carries; nil is none.
func Of(ctx context.Context) *Record {
	r, _ := ctx.Value(recordKey{}).(*Record)
	return r
}

// Set changes the entry.
func (r *Record) Set(change func(*Entry)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.entry)
}

// Skip makes nothing of the action: it changes nothing.
func (r *Record) Skip() {
	r.Set(func(*Entry) { r.skipped = true })
}

// End is the entry of an action that was answered with a result. What became of the
// changes counts before that: a batch is started also where its caller waits for its end
// and gives up. It is false where nothing is to be written.
func (r *Record) End(result string) (Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry
	e.Result = result
	switch {
	case r.failed:
	case r.recorded:
		e.Result = ResultRecorded
	case r.done:
		e.Result = ResultOK
	}
	e.Reason = message.Clip(e.Reason, message.MaxDetail)
	return e, !r.skipped
}

// settle notes what became of one change.
func (r *Record) settle(err error, recorded bool) {
	r.Set(func(*Entry) {
		r.done = r.done || err == nil
		r.recorded = r.recorded || recorded
		r.failed = r.failed || err != nil && !recorded
	})
}

// about notes a batch that the action is about.
func (e *Entry) about(batch string) {
	switch {
	case batch == "" || batch == e.Batch || slices.Contains(e.Batches, batch):
	case e.Batch == "" && len(e.Batches) == 0:
		e.Batch = batch
	case len(e.Batches) == 0:
		e.Batches, e.Batch = []string{e.Batch, batch}, ""
	case len(e.Batches) < maxBatches:
		e.Batches = append(e.Batches, batch)
	}
}

// AddCounts adds to counts; those that are 0 are left out.
func (e *Entry) AddCounts(counts map[string]int) {
	for name, n := range counts {
		if n == 0 {
			continue
		}
		if e.Counts == nil {
			e.Counts = map[string]int{}
		}
		e.Counts[name] += n
	}
}

// CountTexts are the counts as people read them, in the order of their names: 1 message,
// 5,000 sent.
func (e *Entry) CountTexts() (texts []string) {
	for _, name := range slices.Sorted(maps.Keys(e.Counts)) {
		n := e.Counts[name]
		noun, plural := strings.CutSuffix(name, "s")
		if name == "batches" {
			noun = "batch"
		}
		if plural {
			texts = append(texts, message.Plural(n, noun))
		} else {
			texts = append(texts, message.Number(n)+" "+name)
		}
	}
	return texts
}

// selects notes what chose messages.
func (e *Entry) selects(given map[string]bool) {
	for name, is := range given {
		if is && !slices.Contains(e.Selector, name) {
			e.Selector = append(e.Selector, name)
		}
	}
	slices.Sort(e.Selector)
}
