// The tests of this package are inside it because a main package cannot be
// imported.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/config"
	"volley/internal/doctor"
	"volley/internal/keywatch"
	"volley/internal/message"
	"volley/starter"
)

var update = flag.Bool("update", false, "write the golden files")

// answering keeps Status and Messages of all fakes from being answered at once; fakes are copied.
var answering sync.Mutex

// fake is a starter that answers what a test says and keeps what it was asked.
type fake struct {
	err      error // of every call
	started  starter.Started
	statuses []message.Status // one for each call, the last again and again
	failures map[int]error    // of single Status calls, by number
	page     message.Page
	row      message.Row
	rows     []message.Row
	rowsErr  error // after all rows
	batches  starter.Batches
	cancel   message.CancelResult
	pause    message.PauseResult
	move     message.RescheduleResult
	names    []string
	// storeMade and storeError are what becomes of the store at setup.
	storeMade  bool
	storeError error
	purged     starter.Purged
	sameErr    error
	held       starter.HeldMessages
	accounts   starter.AccountList
	unserved   []string

	large      []message.Message // what StartLarge was given
	header     *message.Batch
	content    []byte
	request    starter.Request
	ref        starter.Ref
	asked      any
	selected   starter.ResultQuery
	closed     bool
	calls      int
	startCalls int
}

func (f *fake) Histories(_ context.Context, ref starter.Ref) (starter.Histories, error) {
	return starter.Histories{Workflow: starter.WorkflowID(ref)}, f.err
}

func (f *fake) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	f.request, f.ref = r, r.Ref
	if r.Batch != nil {
		header := *r.Batch
		header.Messages = nil
		if err := f.ask(ctx, r.Ask, &header, r.Batch.Messages, r.Batch.Rejected()); err != nil {
			return starter.Started{}, err
		}
	}
	f.startCalls++
	s := f.started
	if s.ID == "" {
		s.ID = r.ID
	}
	if s.Total == 0 && r.Batch != nil {
		s.Total, s.Rejected, s.Problems = len(r.Batch.Messages), r.Batch.Rejected(), r.Batch.Problems()
	}
	if r.Batch != nil && s.SendAfter == nil {
		s.SendAfter = message.At(r.Batch.SendAfter)
	}
	return s, f.err
}

// ask proposes a batch, as a starter does.
func (f *fake) ask(ctx context.Context, ask func(context.Context, *starter.Proposal) error, header *message.Batch, messages []message.Message, rejected int) error {
	if ask == nil || f.started.Existing {
		return nil
	}
	p := &starter.Proposal{Total: len(messages), Rejected: rejected, Due: moment, Header: header, Estimate: f.started.Estimate, Same: f.started.Same, SameErr: f.sameErr}
	if len(messages) > 0 {
		p.First = messages[0]
	}
	return ask(ctx, p)
}

func (f *fake) StartLarge(ctx context.Context, r starter.Request, in starter.Incoming) (starter.Started, error) {
	f.request, f.ref = r, r.Ref
	s := starter.Started{ID: r.ID}
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		s.Total++
		if len(m.Problems) > 0 {
			s.Rejected++
		}
		if s.Total <= 3 {
			f.large = append(f.large, m)
		}
	}
	var err error
	if f.content, err = in.End(); err != nil {
		return starter.Started{}, fmt.Errorf("start: %w", err)
	}
	f.header = in.Header()
	all := make([]message.Message, s.Total)
	copy(all, f.large)
	if err = f.ask(ctx, r.Ask, f.header, all, s.Rejected); err != nil {
		return starter.Started{}, err
	}
	f.startCalls++
	s.Same = f.started.Same
	s.Segments = (s.Total + 999) / 1000
	s.Estimate = f.started.Estimate
	return s, f.err
}

func (f *fake) Hold(_ context.Context, q starter.HoldRequest) (starter.HoldResult, error) {
	f.asked = q
	return starter.HoldResult{Hold: starter.Hold{Selector: q.Selector, By: message.HeldByPerson, Reason: q.Reason, Since: moment.UnixMilli(), Until: unixMilli(q.Until)}, Messages: f.held}, f.err
}

func (f *fake) Accounts(_ context.Context, q starter.AccountsQuery) (starter.AccountList, error) {
	f.asked = q
	return f.accounts, f.err
}

func (f *fake) Unserved(_ context.Context, accounts []string) []string {
	return slices.DeleteFunc(slices.Clone(accounts), func(name string) bool { return !slices.Contains(f.unserved, name) })
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (f *fake) Release(ctx context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error) {
	f.asked = q.Selector
	if q.Ask != nil {
		if err := q.Ask(ctx, f.held); err != nil {
			return starter.ReleaseResult{}, err
		}
	}
	f.calls++
	return starter.ReleaseResult{Released: []starter.Hold{{Selector: q.Selector, By: message.HeldByAccount}}, Messages: f.held}, f.err
}

func (f *fake) Delete(_ context.Context, ref starter.Ref) error {
	f.ref = ref
	return f.err
}

func (f *fake) Purge(_ context.Context, olderThan time.Duration, dryRun bool) (starter.Purged, error) {
	f.asked = [2]any{olderThan, dryRun}
	return f.purged, f.err
}

func (f *fake) Status(_ context.Context, ref starter.Ref) (message.Status, error) {
	answering.Lock()
	defer answering.Unlock()
	f.ref = ref
	f.calls++
	if err, ok := f.failures[f.calls]; ok {
		return message.Status{}, err
	}
	if f.err != nil || len(f.statuses) == 0 {
		return message.Status{}, f.err
	}
	st := f.statuses[0]
	if len(f.statuses) > 1 {
		f.statuses = f.statuses[1:]
	}
	return st, nil
}

func (f *fake) Wait(ctx context.Context, ref starter.Ref) (message.Status, error) {
	return f.Status(ctx, ref)
}

func (f *fake) Messages(_ context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error) {
	answering.Lock()
	defer answering.Unlock()
	f.ref, f.asked = ref, q
	return f.page, f.err
}

func (f *fake) Message(_ context.Context, ref starter.Ref, name string) (message.Row, error) {
	f.ref, f.asked = ref, name
	return f.row, f.err
}

func (f *fake) Results(_ context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error] {
	f.ref, f.asked = ref, q
	return func(yield func(message.Row, error) bool) {
		if f.err != nil {
			yield(message.Row{}, f.err)
			return
		}
		for _, r := range f.rows {
			if !yield(r, nil) {
				return
			}
		}
		if f.rowsErr != nil {
			yield(message.Row{}, f.rowsErr)
		}
	}
}

func (f *fake) List(_ context.Context, q starter.ListQuery) (starter.Batches, error) {
	f.asked = q
	return f.batches, f.err
}

func (f *fake) Select(_ context.Context, _ starter.Ref, q starter.ResultQuery) ([]string, error) {
	f.selected = q
	return f.names, f.err
}

func (f *fake) Cancel(_ context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
	f.ref, f.asked = ref, q
	return f.cancel, f.err
}

func (f *fake) Pause(_ context.Context, ref starter.Ref) (message.PauseResult, error) {
	f.ref = ref
	res := f.pause
	res.Confirmed = f.err == nil
	return res, f.err
}

func (f *fake) Resume(_ context.Context, ref starter.Ref) (message.ResumeResult, error) {
	f.ref = ref
	if f.err != nil {
		return message.ResumeResult{}, f.err
	}
	return message.ResumeResult{Batch: ref.ID, Confirmed: true}, nil
}

func (f *fake) Reschedule(_ context.Context, ref starter.Ref, q message.RescheduleRequest) (message.RescheduleResult, error) {
	f.ref, f.asked = ref, q
	res := f.move
	res.Confirmed = f.err == nil
	return res, f.err
}

func (f *fake) Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error) {
	f.ref, f.asked = ref, q
	if err := f.ask(ctx, q.Ask, &message.Batch{RedriveOf: ref.ID}, make([]message.Message, f.started.Total), 0); err != nil {
		return starter.Started{}, err
	}
	return f.started, f.err
}

func (f *fake) Missing(context.Context) ([]string, error) { return f.names, f.err }

func (f *fake) Setup(context.Context) ([]string, error) { return f.names, f.err }

func (f *fake) Listed(context.Context, starter.ListedQuery) iter.Seq2[starter.Listed, error] {
	return func(func(starter.Listed, error) bool) {}
}

func (f *fake) Deleted(context.Context, time.Time) iter.Seq2[starter.Deleted, error] {
	return func(func(starter.Deleted, error) bool) {}
}

func (f *fake) Snapshot(context.Context, starter.Listed) (starter.Snapshot, error) {
	return starter.Snapshot{}, f.err
}

func (f *fake) SetupStore(_ context.Context, force bool) (bool, error) {
	if force {
		return true, nil
	}
	return f.storeMade, f.storeError
}

var _ batches = (*fake)(nil)

// moment is now in every test.
var moment = time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)

func after(d time.Duration) *time.Time { t := moment.Add(d); return &t }

// result is what a run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// setting is how a test runs the program. The zero value has no configuration.
type setting struct {
	fake     *fake
	env      []string
	stdin    string
	terminal bool
	columns  int
	// openErr is why Temporal cannot be reached.
	openErr error
	// keyUses and keysErr are what the keys of the keyset sealed.
	keyUses keyUses
	// reports are what workers and gateways say of their keys.
	reports []keywatch.Report
	keysErr error
}

func (s setting) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	f := s.fake
	if f == nil {
		f = &fake{}
	}
	a := &app{
		env: s.env, stdin: strings.NewReader(s.stdin), stdout: &stdout, stderr: &stderr,
		now: func() time.Time { return moment }, every: time.Millisecond,
		open: func(context.Context, *app, *config.Config) (batches, func(), error) {
			return f, func() { f.closed = true }, s.openErr
		},
		columns: s.columns, keyUses: s.fakeUses, keyReports: func(context.Context, *app, *config.Config) ([]keywatch.Report, error) { return s.reports, s.keysErr },
		diagnose: func(context.Context, *app, bool, string) (doctor.Report, error) {
			return doctor.Report{OK: true, Checks: []doctor.Finding{{Check: "store", Level: doctor.OK, Detail: "fine"}}}, nil
		},
		terminal: func(io.Writer) bool { return s.terminal }, local: time.FixedZone("LOC", 3600), limitMemory: func() {},
	}
	code := a.run(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

const testConfig = `
accounts:
  hook: {provider: webhook, url: https://hooks.example.com/, secret: ${HOOK_SECRET}}
  spare: {provider: webhook, url: https://hooks.example.com/, secret: ${HOOK_SECRET}}
routes: [{dialect: volley, hops: [hook, spare]}, {dialect: bluesky, channel: none, hops: [hook]}]
tenants: {acme: {accounts: [spare], dialects: [volley], priority: 2}}
`

// withConfig runs with testConfig in VOLLEY_CONFIG and none of its secrets set.
func withConfig(t *testing.T, f *fake) setting {
	t.Helper()
	return setting{fake: f, env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig)}}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// golden compares what a run wrote with testdata/<name>.golden.
func golden(t *testing.T, name string, r result) {
	t.Helper()
	got := fmt.Sprintf("exit %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// document reads stdout as exactly one JSON document.
func document(t *testing.T, r result) map[string]any {
	t.Helper()
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(r.stdout))
	require.NoError(t, d.Decode(&v), "stdout: %s\nstderr: %s", r.stdout, r.stderr)
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF, "one document and nothing else")
	return v
}
