package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 24, 9, 2, 13, 0, time.UTC)

func at(d time.Duration) *time.Time {
	t := start.Add(d)
	return &t
}

// batches is a starter with batches that the test sets.
type batches struct {
	mu       sync.Mutex
	statuses map[string]message.Status
	rows     map[string][]message.Row
	accounts starter.AccountList
	// by is who started each batch.
	by map[string]string
	// err, unless it is nil, is what reading returns.
	err error
	// noWorker makes batches that run silent.
	noWorker bool
	leaving  starter.HeldMessages
	// calls are the changes that were made.
	calls []string
	// started are the requests of batches.
	started []starter.Request
}

func (b *batches) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
}

func (b *batches) Status(_ context.Context, ref starter.Ref) (message.Status, error) {
	st, ok := b.statuses[ref.ID]
	switch {
	case b.err != nil:
		return st, b.err
	case !ok:
		return st, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNotFound)
	case b.noWorker && !st.State.Closed():
		return st, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNoWorker)
	}
	return st, nil
}

func (b *batches) Messages(_ context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error) {
	want, err := message.ParseStates(q.State)
	if err != nil {
		return message.Page{}, fmt.Errorf("%w: %w", starter.ErrInvalid, err)
	}
	p := message.Page{}
	for _, r := range b.rows[ref.ID] {
		if want.Has(r.State) && (q.Code == "" || q.Code == r.Code) && (q.To == "" || q.To == r.To) {
			p.Messages = append(p.Messages, r)
		}
	}
	if len(p.Messages) > q.Limit && q.Limit > 0 {
		p.Messages, p.Next = p.Messages[:q.Limit], "50"
	}
	return p, b.err
}

func (b *batches) Message(_ context.Context, ref starter.Ref, name string) (message.Row, error) {
	for _, r := range b.rows[ref.ID] {
		if fmt.Sprint(r.Index) == name || r.ID == name {
			return r, b.err
		}
	}
	return message.Row{}, fmt.Errorf("message %s: %w", name, starter.ErrNotFound)
}

func (b *batches) Results(_ context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		page, err := b.Messages(context.Background(), ref, message.PageQuery{State: q.State, Code: q.Code, Selector: q.Selector})
		for _, r := range page.Messages {
			if !yield(r, err) {
				return
			}
		}
	}
}

func (b *batches) List(_ context.Context, q starter.ListQuery) (starter.Batches, error) {
	var out starter.Batches
	for _, st := range b.statuses {
		if q.State == "" || strings.Contains(q.State, string(st.State)) {
			out.Batches = append(out.Batches, st)
		}
	}
	return out, b.err
}

func (b *batches) Accounts(context.Context, starter.AccountsQuery) (starter.AccountList, error) {
	return b.accounts, b.err
}

func (b *batches) Find(_ context.Context, _, id string) (starter.Ref, error) {
	for name, rows := range b.rows {
		for _, r := range rows {
			if r.ID == id {
				return starter.Ref{Tenant: "default", ID: name}, nil
			}
		}
	}
	return starter.Ref{}, starter.ErrNotFound
}

func (b *batches) Accepted(_ context.Context, ref starter.Ref) (*message.Batch, error) {
	return &message.Batch{ID: ref.ID, StartedBy: b.by[ref.ID]}, nil
}

func (b *batches) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	n := len(r.Batch.Messages)
	if r.Ask != nil {
		if err := r.Ask(ctx, &starter.Proposal{ID: "new", Total: n, Header: r.Batch}); err != nil {
			return starter.Started{}, err
		}
	}
	b.note("start %d", n)
	b.started = append(b.started, r)
	return starter.Started{ID: "new-1", Total: n}, nil
}

func (b *batches) StartLarge(context.Context, starter.Request, starter.Incoming) (starter.Started, error) {
	return starter.Started{}, starter.ErrRefused
}

func (b *batches) Select(_ context.Context, ref starter.Ref, q starter.ResultQuery) (ids []string, err error) {
	for r, err := range b.Results(context.Background(), ref, q) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	return ids, nil
}

func (b *batches) Cancel(_ context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
	b.note("cancel %s %v %s", ref.ID, q.Messages, q.Reason)
	return message.CancelResult{Batch: ref.ID}, nil
}

func (b *batches) Pause(_ context.Context, ref starter.Ref) (message.PauseResult, error) {
	b.note("pause %s", ref.ID)
	return message.PauseResult{Batch: ref.ID, Confirmed: true}, nil
}

func (b *batches) Resume(_ context.Context, ref starter.Ref) (message.ResumeResult, error) {
	b.note("resume %s", ref.ID)
	return message.ResumeResult{Batch: ref.ID}, fmt.Errorf("resume: %w", starter.ErrNoWorker)
}

func (b *batches) Reschedule(_ context.Context, ref starter.Ref, q message.RescheduleRequest) (message.RescheduleResult, error) {
	b.note("reschedule %s %s", ref.ID, q.SendAfter)
	return message.RescheduleResult{Batch: ref.ID}, nil
}

func (b *batches) Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error) {
	if err := q.Ask(ctx, &starter.Proposal{Total: 3000}); err != nil {
		return starter.Started{}, err
	}
	b.note("redrive %s %v", ref.ID, q.States)
	return starter.Started{ID: ref.ID + "-r1", Total: 3000, Redriven: &starter.Redriven{Unknown: 2}}, nil
}

func (b *batches) Hold(_ context.Context, q starter.HoldRequest) (starter.HoldResult, error) {
	b.note("hold %s %s", q.Selector, q.Reason)
	return starter.HoldResult{Messages: starter.HeldMessages{Known: true, Waiting: 3}}, nil
}

func (b *batches) Release(ctx context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error) {
	if q.Ask != nil {
		if err := q.Ask(ctx, b.leaving); err != nil {
			return starter.ReleaseResult{}, err
		}
	}
	b.note("release %s", q.Selector)
	return starter.ReleaseResult{Messages: b.leaving}, nil
}

// find is an index with messages that the test sets.
type find struct {
	found   []index.Found
	stats   map[string][]index.Stat
	batches []index.Batch
	audit   []index.AuditEntry
}

func (f *find) Find(_ context.Context, q index.FindQuery) (index.FindPage, error) {
	var p index.FindPage
	for _, m := range f.found {
		if len(q.States) > 0 && !slices.Contains(q.States, m.State) {
			continue
		}
		if q.To != "" && m.To == q.To || q.Text != "" && (m.To == q.Text || m.Reference == q.Text || m.ProviderID == q.Text) {
			p.Messages = append(p.Messages, m)
		}
	}
	return p, nil
}

func (f *find) Stats(_ context.Context, q index.StatsQuery) ([]index.Stat, error) {
	return f.stats[q.By], nil
}

func (f *find) Batches(context.Context, index.BatchesQuery) (index.BatchPage, error) {
	return index.BatchPage{Batches: f.batches}, nil
}

func (f *find) Audit(context.Context, index.AuditQuery) ([]index.AuditEntry, string, error) {
	return f.audit, "", nil
}

const (
	eu  = "sinch-eu"
	hot = "<script>alert(1)</script>"
)

// world is what there is in most tests.
func world() *batches {
	counts := func(pairs ...any) *message.Counts {
		var c message.Counts
		for i := 0; i < len(pairs); i += 2 {
			c[pairs[i].(message.State)] = pairs[i+1].(int)
		}
		return &c
	}
	meta := func(name string) json.RawMessage {
		return json.RawMessage(`{"campaign":` + fmt.Sprintf("%q", name) + `}`)
	}
	rate := "500/s"
	used := 132.5
	str := func(s string) *string { return &s }
	return &batches{
		statuses: map[string]message.Status{
			"b-1": {
				ID: "b-1", Tenant: "default", Account: eu, State: message.BatchRunning, Total: 20000, CreatedAt: start.Add(-time.Hour), AsOf: start, Metadata: meta("Spring sale"), Rate: 132.5,
				Counts:  counts(message.Accepted, 3200, message.Sending, 48, message.Sent, 9000, message.Delivered, 7640, message.Failed, 112),
				Reasons: message.Reasons{{State: message.Failed, Code: "RECIPIENT_INVALID_CHANNEL_IDENTITY", Count: 100}, {State: message.Failed, Code: "http_422", Count: 12}}, EstimatedEnd: at(25 * time.Minute),
			},
			"b-2": {ID: "b-2", Tenant: "default", Account: "bird-main", State: message.BatchPaused, Total: 700, CreatedAt: start.Add(-2 * time.Hour), AsOf: start, Metadata: meta(hot), Counts: counts(message.Accepted, 600, message.Sent, 100)},
			"b-3": {ID: "b-3", Tenant: "default", Account: eu, State: message.BatchScheduled, Total: 5200, CreatedAt: start.Add(-3 * time.Hour), AsOf: start, Metadata: meta("Winter newsletter"), NextDueAt: at(7 * time.Hour), Counts: counts(message.Scheduled, 5200)},
			"b-4": {ID: "b-4", Tenant: "default", Account: eu, State: message.BatchCompleted, Total: 900, CreatedAt: start.Add(-26 * time.Hour), FinishedAt: at(-25 * time.Hour), AsOf: start, Metadata: meta("Invoices"), Counts: counts(message.Delivered, 880, message.Undelivered, 17, message.Unknown, 3), Reasons: message.Reasons{{State: message.Undelivered, Code: "ABSENT_SUBSCRIBER", Count: 17}, {State: message.Unknown, Code: "timeout", Count: 3}}},
		},
		rows: map[string][]message.Row{
			"b-1": {
				{Index: 0, ID: "m-0", To: "+491511234567", Reference: str("c-4001"), Channel: "SMS", Account: eu, State: message.Undelivered, DueAt: at(-time.Hour), ExpiresAt: at(30 * time.Hour), SentAt: at(-50 * time.Minute), FinishedAt: at(-49 * time.Minute), Attempts: 2, Code: "UNKNOWN_SUBSCRIBER", Detail: "unknown", ProviderID: "01HX", Text: str("Hi Ann, 20 % off until Sunday"), Trail: []message.TrailRow{
					{At: start.Add(-51 * time.Minute), Account: eu, Attempt: 1, Event: message.EventThrottled, Code: "RESOURCE_EXHAUSTED", Detail: "slow down"},
					{At: start.Add(-50 * time.Minute), Account: eu, Attempt: 2, Event: message.EventSent},
					{At: start.Add(-49 * time.Minute), Account: eu, Attempt: 2, Event: message.EventUndelivered, Code: "UNKNOWN_SUBSCRIBER", Detail: "The subscriber is unknown"},
				}},
				{Index: 1, ID: "m-1", To: hot, Channel: "SMS", Account: eu, State: message.Accepted, DueAt: at(-40 * time.Second), ExpiresAt: at(30 * time.Hour)},
				{Index: 2, ID: "m-2", To: "+491517654321", Channel: "SMS", Account: eu, State: message.Failed, DueAt: at(-time.Hour), ExpiresAt: at(30 * time.Hour), FinishedAt: at(-55 * time.Minute), Attempts: 1, Code: "http_422", Detail: hot},
			},
		},
		accounts: starter.AccountList{
			Accounts: []starter.AccountHealth{
				{Name: eu, Provider: "sinch", Rate: &rate, Used: &used, Workers: 2},
				{Name: "bird-main", Provider: "bird", Workers: 2, Held: &message.HoldView{By: "account", Reason: "5 messages in a row were refused: http_401", Since: start.Add(-12 * time.Minute)}},
			},
			Holds: []starter.HoldDocument{{Selector: starter.Selector{Account: "bird-main"}, By: "account", Reason: "5 messages in a row were refused: http_401", Since: start.Add(-12 * time.Minute)}},
		},
		leaving: starter.HeldMessages{Known: true, Leaving: 600, Late: 12 * time.Minute},
	}
}
