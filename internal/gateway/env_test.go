package gateway_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/gateway"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/internal/provider"
	"volley/starter"
)

// now is the gateway's clock in every test.
var now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// The tenants of every test, with their keys.
const (
	acmeKey  = "acme-key"
	otherKey = "other-key"
)

// fake holds batches by tenant and id, as a starter would. Functions stand for what a
// test wants otherwise.
type fake struct {
	mu       sync.Mutex
	batches  map[starter.Ref]*message.Batch
	sums     map[starter.Ref]string
	states   map[starter.Ref]message.BatchState
	requests []starter.Request
	asks     map[string]int // how often a method was called
	redrives []starter.RedriveQuery

	start    error         // what every start is refused with
	same     *starter.Same // what every start finds that looks for it
	change   error         // what every control is refused with
	starting func()        // what happens while every start is under way
	expected []string      // the batches whose callers may ask again
	status   func(starter.Ref) (message.Status, error)
	wait     func(context.Context, starter.Ref) (message.Status, error)
	cancel   func(starter.Ref, message.CancelRequest) (message.CancelResult, error)
	rows     func(starter.Ref) []message.Row
	page     func(starter.Ref) error // what a page is refused with
	holds    []any                   // what was asked to be held or released
	list     func(starter.ListQuery) (starter.Batches, error)
	accepted func(starter.Ref) error // what reading a batch as it was accepted fails with
}

func newFake() *fake {
	return &fake{
		batches: map[starter.Ref]*message.Batch{}, sums: map[starter.Ref]string{}, states: map[starter.Ref]message.BatchState{},
		asks: map[string]int{},
	}
}

func (f *fake) Hold(_ context.Context, q starter.HoldRequest) (starter.HoldResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, q)
	x := starter.Hold{Selector: q.Selector, By: message.HeldByPerson, Reason: q.Reason, Since: now.UnixMilli()}
	if !q.Until.IsZero() {
		x.Until = q.Until.UnixMilli()
	}
	return starter.HoldResult{Hold: x, Messages: starter.HeldMessages{Known: true, Waiting: 3}}, f.change
}

func (f *fake) Release(_ context.Context, q starter.ReleaseRequest) (starter.ReleaseResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, q)
	return starter.ReleaseResult{Released: []starter.Hold{{Selector: q.Selector, By: message.HeldByPerson, Since: now.UnixMilli()}}}, f.change
}

func (f *fake) Accounts(_ context.Context, q starter.AccountsQuery) (starter.AccountList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, q)
	rate := "10/s"
	list := starter.AccountList{Accounts: []starter.AccountHealth{}, Holds: []starter.HoldDocument{{Selector: starter.Selector{Meta: "a=b"}, By: "tenant", Since: now}}}
	for _, a := range q.Accounts {
		list.Accounts = append(list.Accounts, starter.AccountHealth{
			Name: a.Name, Provider: a.Provider, Rate: &rate, Held: &message.HoldView{By: "account", Reason: "why, says +15550001111", Since: now}, Workers: 2,
		})
	}
	return list, f.change
}

func (f *fake) count(name string) { f.asks[name]++ }

func (f *fake) Start(ctx context.Context, r starter.Request) (starter.Started, error) {
	if f.starting != nil {
		f.starting()
		if err := ctx.Err(); err != nil {
			return starter.Started{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count("Start")
	f.requests = append(f.requests, r)
	if f.start != nil {
		var may *starter.MayHaveStartedError
		if errors.As(f.start, &may) {
			return starter.Started{ID: may.Ref.ID}, f.start
		}
		return starter.Started{}, f.start
	}
	if r.ID == "" {
		r.ID = "new-" + fmt.Sprint(len(f.batches))
		if r.IdempotencyKey != "" {
			r.ID = "key-" + r.IdempotencyKey
		}
	}
	sum := string(r.Body) + fmt.Sprint(r.Flags)
	b := *r.Batch
	b.ID, b.Tenant = r.ID, r.Tenant
	existing := f.batches[r.Ref] != nil
	if existing && f.sums[r.Ref] != sum {
		return starter.Started{ID: r.ID}, fmt.Errorf("batch %s: %w", r.ID, starter.ErrConflict)
	}
	if !existing {
		f.batches[r.Ref], f.sums[r.Ref] = &b, sum
	}
	problems := b.Problems()
	if problems == nil {
		problems = message.Problems{}
	}
	out := starter.Started{
		ID: r.ID, Total: len(b.Messages), Rejected: b.Rejected(), Existing: existing, Problems: problems, SendAfter: message.At(f.batches[r.Ref].SendAfter),
	}
	if r.SameWithin > 0 && !existing {
		out.Same = f.same
	}
	return out, nil
}

func (f *fake) StartLarge(ctx context.Context, r starter.Request, in starter.Incoming) (starter.Started, error) {
	b := *in.Header()
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		b.Messages = append(b.Messages, m)
	}
	if _, err := in.End(); err != nil {
		return starter.Started{}, err
	}
	r.Batch = &b
	return f.Start(ctx, r)
}

func (f *fake) there(ref starter.Ref) (*message.Batch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.batches[ref]
	if b == nil {
		return nil, fmt.Errorf("batch %s: %w", ref.ID, starter.ErrNotFound)
	}
	return b, nil
}

func (f *fake) Status(_ context.Context, ref starter.Ref) (message.Status, error) {
	f.mu.Lock()
	f.count("Status")
	f.mu.Unlock()
	if f.status != nil {
		return f.status(ref)
	}
	b, err := f.there(ref)
	if err != nil {
		return message.Status{}, err
	}
	counts := message.Counts{message.Sent: len(b.Messages) - b.Rejected(), message.Rejected: b.Rejected()}
	st := message.Status{
		ID: b.ID, Dialect: b.Dialect, Tenant: b.Tenant, State: message.BatchCompleted, Dispatch: "message", CreatedAt: b.CreatedAt,
		SendAfter: message.At(b.SendAfter), Total: len(b.Messages), Counts: &counts, Metadata: b.Metadata, AsOf: now, Rev: int64(2 * len(b.Messages)),
	}
	if st.Metadata == nil {
		st.Metadata = json.RawMessage("{}")
	}
	if s := f.states[ref]; s != "" {
		st.State = s
	}
	return st, nil
}

// rowsOf are the rows of a batch whose valid messages were sent.
func (f *fake) rowsOf(ref starter.Ref, b *message.Batch) []message.Row {
	if f.rows != nil {
		return f.rows(ref)
	}
	key := message.KeyOf(starter.WorkflowID(ref))
	var all []message.Row
	for i := range b.Messages {
		rec := message.Record{
			State: message.Sent, Due: b.DueAt(&b.Messages[i]), Expires: b.DueAt(&b.Messages[i]) + b.Validity(&b.Messages[i]), Sent: now.UnixMilli(), Finished: now.UnixMilli(),
			ProviderID: fmt.Sprintf("p-%d", i), Attempts: 1, Rev: int64(len(b.Messages) + i + 1),
		}
		if p := b.Messages[i].Problems; len(p) > 0 {
			rec = message.Record{State: message.Rejected, Due: rec.Due, Expires: rec.Expires, Finished: rec.Finished, Code: p[0].Code, Detail: p[0].Detail, Rev: int64(i + 1)}
		}
		all = append(all, b.RowOf(key, i, &b.Messages[i], &rec))
	}
	return all
}

func (f *fake) Messages(_ context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error) {
	f.mu.Lock()
	f.count("Messages")
	f.mu.Unlock()
	b, err := f.there(ref)
	if err != nil {
		return message.Page{}, err
	}
	if f.page != nil {
		if err := f.page(ref); err != nil {
			return message.Page{}, err
		}
	}
	all := f.rowsOf(ref, b)
	return message.Pages(q, len(all),
		func(i int) (message.State, int64) { return all[i].State, all[i].Rev },
		func(i int) message.Row { return all[i] })
}

func (f *fake) Message(_ context.Context, ref starter.Ref, idOrIndex string) (message.Row, error) {
	b, err := f.there(ref)
	if err != nil {
		return message.Row{}, err
	}
	for _, row := range f.rowsOf(ref, b) {
		if row.ID == idOrIndex || fmt.Sprint(row.Index) == idOrIndex {
			row.Trail = []message.TrailRow{{At: now, Attempt: 1, Event: message.EventSent}}
			return row, nil
		}
	}
	return message.Row{}, fmt.Errorf("message %s of batch %s: %w", idOrIndex, ref.ID, starter.ErrNotFound)
}

func (f *fake) Results(_ context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error] {
	return func(yield func(message.Row, error) bool) {
		b, err := f.there(ref)
		if err != nil {
			yield(message.Row{}, err)
			return
		}
		for _, row := range f.rowsOf(ref, b) {
			if states, err := message.ParseStates(q.State); err == nil && states.Has(row.State) && (q.Code == "" || q.Code == row.Code) {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

func (f *fake) List(ctx context.Context, q starter.ListQuery) (starter.Batches, error) {
	if f.list != nil {
		return f.list(q)
	}
	out := starter.Batches{Batches: []message.Status{}}
	f.mu.Lock()
	var refs []starter.Ref
	for ref := range f.batches {
		if ref.Tenant == q.Tenant {
			refs = append(refs, ref)
		}
	}
	f.mu.Unlock()
	for _, ref := range refs {
		st, err := f.Status(ctx, ref)
		if err != nil {
			return out, err
		}
		out.Batches = append(out.Batches, st)
	}
	return out, nil
}

func (f *fake) Find(_ context.Context, tenant, messageID string) (starter.Ref, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ref := range f.batches {
		if key, _, ok := message.ParseID(messageID); ok && ref.Tenant == tenant && key == message.KeyOf(starter.WorkflowID(ref)) {
			return ref, nil
		}
	}
	return starter.Ref{}, fmt.Errorf("message %s: %w", messageID, starter.ErrNotFound)
}

func (f *fake) Accepted(_ context.Context, ref starter.Ref) (*message.Batch, error) {
	if f.accepted != nil {
		if err := f.accepted(ref); err != nil {
			return nil, err
		}
	}
	return f.there(ref)
}

func (f *fake) Wait(ctx context.Context, ref starter.Ref) (message.Status, error) {
	if f.wait != nil {
		return f.wait(ctx, ref)
	}
	return f.Status(ctx, ref)
}

func (f *fake) Select(_ context.Context, ref starter.Ref, q starter.ResultQuery) (ids []string, err error) {
	b, err := f.there(ref)
	if err != nil {
		return nil, err
	}
	for _, row := range f.rowsOf(ref, b) {
		if row.To == q.To {
			ids = append(ids, row.ID)
		}
	}
	if len(ids) == 0 {
		return nil, starter.ErrNotFound
	}
	return ids, nil
}

func (f *fake) Cancel(_ context.Context, ref starter.Ref, q message.CancelRequest) (message.CancelResult, error) {
	if _, err := f.there(ref); err != nil {
		return message.CancelResult{}, err
	}
	if f.change != nil {
		return message.CancelResult{}, f.change
	}
	if f.cancel != nil {
		return f.cancel(ref, q)
	}
	return message.CancelResult{Batch: ref.ID, Canceled: []string{}, Sent: []string{}, InFlight: []string{}, Ended: []string{}, Confirmed: true}, nil
}

func (f *fake) Pause(_ context.Context, ref starter.Ref) (message.PauseResult, error) {
	f.count("pause")
	_, err := f.there(ref)
	err = cmp.Or(f.change, err)
	return message.PauseResult{Batch: ref.ID, InFlight: []string{}}, err
}

func (f *fake) Resume(_ context.Context, ref starter.Ref) (message.ResumeResult, error) {
	f.count("resume")
	_, err := f.there(ref)
	err = cmp.Or(f.change, err)
	return message.ResumeResult{Batch: ref.ID}, err
}

func (f *fake) Reschedule(_ context.Context, ref starter.Ref, _ message.RescheduleRequest) (message.RescheduleResult, error) {
	b, err := f.there(ref)
	if err = cmp.Or(f.change, err); err != nil {
		return message.RescheduleResult{}, err
	}
	return message.RescheduleResult{Batch: ref.ID, Rescheduled: len(b.Messages)}, nil
}

func (f *fake) Redrive(ctx context.Context, ref starter.Ref, q starter.RedriveQuery) (starter.Started, error) {
	b, err := f.there(ref)
	if err != nil {
		return starter.Started{}, err
	}
	if q.Allow != nil {
		header := *b
		if err := q.Allow(&header); err != nil {
			return starter.Started{}, err
		}
		b = &header
		q.Allow = nil
	}
	f.redrives = append(f.redrives, q)
	s, err := f.Start(ctx, starter.Request{Ref: starter.Ref{Tenant: ref.Tenant, ID: q.ID}, Batch: b})
	s.RedriveOf = ref.ID
	return s, err
}

func (f *fake) ExpectRepeat(s starter.Started) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expected = append(f.expected, s.ID)
}

// testEnv is a gateway over a fake.
type testEnv struct {
	*fake
	t *testing.T
	g *gateway.Gateway
}

func hook() message.Router {
	return message.Router{
		Routes: []message.Route{{Hops: []string{"hook"}}},
		Accounts: map[string]message.Policy{
			"hook": {Provider: "webhook"}, "bird-main": {Provider: "bird"}, "sinch-eu": {Provider: "sinch"},
		},
	}
}

// newEnv has two tenants who may use everything; change alters the options.
func newEnv(t *testing.T, change func(*gateway.Options)) *testEnv {
	t.Helper()
	router := hook()
	tenant := func(name, key string) intake.Caller {
		return intake.Caller{Tenant: name, Router: &router, Keys: []intake.Key{{Name: name + "-main", Hash: intake.HashKey(key)}}}
	}
	b := &testEnv{fake: newFake(), t: t}
	o := gateway.Options{
		Batches: b.fake, Tenants: []intake.Caller{tenant("acme", acmeKey), tenant("other", otherKey)},
		Limits: intake.Limits{BodyBytes: 1 << 20, IMKITParas: 1000, Messages: 100_000}, Now: func() time.Time { return now },
		Accounts: []provider.Account{
			{Name: "bird-main", Provider: "bird", Workspace: workspace, Channel: channel},
			{Name: "sinch-eu", Provider: "sinch", Project: project, App: app},
		},
	}
	if change != nil {
		change(&o)
	}
	b.g = gateway.New(o)
	return b
}

// What the accounts of a testEnv are bound to.
const (
	workspace = "11111111-2222-4333-8444-555555555555"
	channel   = "66666666-7777-4888-8999-000000000000"
	project   = "22222222-3333-4444-8555-666666666666"
	app       = "01E9DQJFPWGZ2T05XTVZAD0BYB"
)

// reply is what came back.
type reply struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// call makes a request. Headers are "Name: value".
func (b *testEnv) call(method, target, body string, headers ...string) reply {
	b.t.Helper()
	return b.callWith(b.t.Context(), method, target, body, headers...)
}

// callWith is call for a client that leaves when ctx ends.
func (b *testEnv) callWith(ctx context.Context, method, target, body string, headers ...string) reply {
	b.t.Helper()
	r := httptest.NewRequestWithContext(ctx, method, target, io.NopCloser(strings.NewReader(body)))
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ": ")
		require.True(b.t, ok, h)
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.g.ServeHTTP(w, r)
	return reply{w, b.t}
}

// acme calls Volley's own API as the tenant acme.
func (b *testEnv) acme(method, target, body string, headers ...string) reply {
	b.t.Helper()
	return b.call(method, target, body, append(headers, "Authorization: Bearer "+acmeKey)...)
}

// json reads the answer, which must have a status.
func (r reply) json(status int) map[string]any {
	r.t.Helper()
	require.Equal(r.t, status, r.Code, r.Body.String())
	var doc map[string]any
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &doc), r.Body.String())
	return doc
}

var _ http.Handler = (*gateway.Gateway)(nil)
