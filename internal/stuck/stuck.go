package stuck

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// Why messages wait longer than they should.
const (
	Held         = "held"
	Paused       = "paused"
	NoWorker     = "no worker"
	Rate         = "rate"
	Breaker      = "breaker"
	Retrying     = "retrying"
	InDoubt      = "doubt"
	AwaitsReport = "awaits report"
	Waiting      = "waiting"
)

const (
	// MaxBatches is how many batches are asked, and mostWaiting for how many of the messages
	// of each.
	MaxBatches  = 200
	mostWaiting = 500
	// sideBySide is how many are asked at once, and askWithin bounds asking one: where no worker
	// answers, all of them would take their time one after the other.
	sideBySide = 8
	askWithin  = 5 * time.Second
	// nearRate is from which part of its rate on an account counts as one that uses it up.
	nearRate = 0.8
)

// Group is messages that wait for the same reason.
type Group struct {
	Why string `json:"why"`
	// Account is the one that they wait for, and Code that of their last answer; both may be
	// empty.
	Account  string `json:"account"`
	Code     string `json:"code"`
	Messages int    `json:"messages"`
	// AtLeast means that there may be more.
	AtLeast bool `json:"atLeast"`
	// Since is when the first of them was due.
	Since   time.Time `json:"since"`
	Batches []string  `json:"batches"`
	// Do is what can be done about it: a command or a request, which whoever asks fills in.
	Do string `json:"do"`
	// Tenant is that of the first batch, and First the index of the message that was due first,
	// which is in FirstBatch.
	Tenant     string `json:"-"`
	FirstBatch string `json:"-"`
	First      int    `json:"-"`
}

// Report is what waits.
type Report struct {
	Groups []Group `json:"groups"`
	// Unread are open batches that could not be read. Asked is how many were asked, and Left
	// that older ones than StoppedAt, the last one, were not.
	Unread    []string `json:"unread"`
	Asked     int      `json:"asked"`
	Left      bool     `json:"left"`
	StoppedAt string   `json:"stoppedAt,omitempty"`
	// NoWorker means that no worker serves any account: no batch was asked then, counts are
	// those of the index, and what started after the last worker ended is not in it.
	NoWorker bool `json:"noWorker"`
}

// Batches are the open batches; index.Index has them.
type Batches interface {
	Batches(ctx context.Context, q index.BatchesQuery) (index.BatchPage, error)
}

// Reads are what batches and accounts say of themselves; a starter.Starter does.
type Reads interface {
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Messages(ctx context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error)
	Accounts(ctx context.Context, q starter.AccountsQuery) (starter.AccountList, error)
}

// Query says what is looked for: messages of a tenant, empty for all, that were due For ago
// or before, at Now.
type Query struct {
	Tenant   string
	For      time.Duration
	Now      time.Time
	Accounts []starter.AccountOf
}

// Find finds out what waits: the index tells which batches have messages that wait, they
// themselves which messages and how the batch stands, and Temporal and the workers how the
// accounts do. Batches that cannot be read are named, and are no error. It takes a minute or
// two at the most.
func Find(ctx context.Context, x Batches, b Reads, q Query) (Report, error) {
	out := Report{Groups: []Group{}, Unread: []string{}}
	s := messages{by: map[[3]string]*Group{}, before: q.Now.Add(-q.For), rates: map[string]float64{}}
	for _, a := range q.Accounts {
		s.rates[a.Name] = a.Rate
	}
	var err error
	if s.accounts, err = b.Accounts(ctx, starter.AccountsQuery{Accounts: q.Accounts}); err != nil {
		return out, err
	}
	out.NoWorker = len(s.accounts.Accounts) > 0 && !slices.ContainsFunc(s.accounts.Accounts, func(a starter.AccountHealth) bool { return a.Workers > 0 })
	var ask []index.Batch
	batches := index.BatchesQuery{Tenant: q.Tenant, Open: true, Limit: MaxBatches}
	for more := true; more; {
		page, err := x.Batches(ctx, batches)
		if err != nil {
			return out, err
		}
		for i := range page.Batches {
			batch := &page.Batches[i]
			if !s.mayWait(batch) {
				continue
			}
			if len(ask) == MaxBatches {
				out.Left, out.StoppedAt = true, ask[MaxBatches-1].ID
				break
			}
			ask = append(ask, *batch)
		}
		batches.Cursor, more = page.Next, page.Next != "" && !out.Left
	}
	out.Asked = len(ask)
	if out.Unread = append(out.Unread, s.askAll(ctx, b, ask, out.NoWorker)...); ctx.Err() != nil {
		return out, ctx.Err()
	}
	if all := s.accountsOf(q); len(all.Accounts) > len(q.Accounts) {
		if s.accounts, err = b.Accounts(ctx, all); err != nil {
			return out, err
		}
	}
	out.Groups = append(out.Groups, s.groups()...)
	return out, nil
}

// messages gathers messages that wait.
type messages struct {
	by       map[[3]string]*Group
	before   time.Time
	found    []waiting
	accounts starter.AccountList
	rates    map[string]float64
}

// waiting are the messages of a batch that wait.
type waiting struct {
	ref    starter.Ref
	status message.Status
	// silent means that no worker answers for the batch: rows are empty, and count is how
	// many messages wait by the index, and since when.
	silent bool
	count  int
	since  time.Time
	rows   []message.Row
	more   bool
}

// mayWait reports whether the index knows of messages in a batch that may have been due for
// some time.
func (s *messages) mayWait(b *index.Batch) bool {
	all := 0
	for _, n := range b.Counts {
		all += n
	}
	if all == b.Total && b.Counts.Open() == 0 {
		return false
	}
	return b.State != message.BatchScheduled || !b.NextDueAt.After(s.before)
}

// askAll asks batches, several at once, and returns those that could not be read. Without a
// worker none is asked.
func (s *messages) askAll(ctx context.Context, b Reads, batches []index.Batch, noWorker bool) (unread []string) {
	found, errs := make([]*waiting, len(batches)), make([]error, len(batches))
	var asking errgroup.Group
	asking.SetLimit(sideBySide)
	for i := range batches {
		asking.Go(func() error {
			found[i], errs[i] = s.ask(ctx, b, &batches[i], noWorker)
			return nil
		})
	}
	_ = asking.Wait() // the errors are in errs
	for i := range batches {
		switch {
		case errs[i] != nil:
			unread = append(unread, batches[i].ID)
		case found[i] != nil:
			s.found = append(s.found, *found[i])
		}
	}
	return unread
}

// ask asks a batch how it stands and for its messages that wait; nil is that none has waited
// long enough.
func (s *messages) ask(ctx context.Context, b Reads, batch *index.Batch, noWorker bool) (*waiting, error) {
	found := &waiting{ref: starter.Ref{Tenant: batch.Tenant, ID: batch.ID}}
	actx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var status message.Status
	var page message.Page
	err := starter.ErrNoWorker
	if !noWorker {
		status, err = b.Status(actx, found.ref)
	}
	if err == nil {
		page, err = b.Messages(actx, found.ref, message.PageQuery{State: "accepted,sending,retrying", Limit: mostWaiting})
	}
	switch {
	case errors.Is(err, starter.ErrNoWorker), err != nil && actx.Err() != nil && ctx.Err() == nil:
		found.silent, found.count = true, batch.Counts.Open()
		found.since = batch.NextDueAt
		if found.since.IsZero() {
			found.since = batch.CreatedAt
		}
		if found.since.After(s.before) {
			return nil, nil
		}
	case err != nil:
		return nil, err
	}
	found.status, found.rows, found.more = status, page.Messages, page.Next != ""
	return found, nil
}

// accountsOf are the accounts that are asked about and the others that messages wait for.
func (s *messages) accountsOf(q Query) (out starter.AccountsQuery) {
	there := map[string]bool{}
	add := func(a starter.AccountOf) {
		if a.Name != "" && !there[a.Name] {
			there[a.Name] = true
			out.Accounts = append(out.Accounts, a)
		}
	}
	for _, a := range q.Accounts {
		add(a)
	}
	for i := range s.found {
		for k := range s.found[i].rows {
			add(starter.AccountOf{Name: s.found[i].rows[k].Account})
		}
	}
	return out
}

// add groups the messages of a batch that were due before.
func (s *messages) add(f *waiting) {
	if f.silent {
		s.group(NoWorker, "", "", f.ref, f.since, 0).Messages += f.count
		return
	}
	for i := range f.rows {
		m := &f.rows[i]
		if m.DueAt == nil || m.DueAt.After(s.before) {
			continue
		}
		why, code := s.why(&f.status, m)
		g := s.group(why, m.Account, code, f.ref, *m.DueAt, m.Index)
		g.Messages++
		g.AtLeast = g.AtLeast || f.more
	}
}

// group is that of messages which wait for the same.
func (s *messages) group(why, account, code string, ref starter.Ref, due time.Time, first int) *Group {
	key := [3]string{why, account, code}
	g := s.by[key]
	if g == nil {
		g = &Group{Why: why, Account: account, Code: code, Since: due, Tenant: ref.Tenant, FirstBatch: ref.ID, First: first}
		s.by[key] = g
	}
	if due.Before(g.Since) {
		g.Since, g.Tenant, g.FirstBatch, g.First = due, ref.Tenant, ref.ID, first
	}
	if !slices.Contains(g.Batches, ref.ID) {
		g.Batches = append(g.Batches, ref.ID)
	}
	return g
}

// why says for what a message waits.
func (s *messages) why(b *message.Status, m *message.Row) (why, code string) {
	var account starter.AccountHealth
	for _, x := range s.accounts.Accounts {
		if x.Name == m.Account {
			account = x
		}
	}
	queued := account.Queued != nil && *account.Queued > 0
	used := account.Used != nil && *account.Used >= nearRate*s.rates[m.Account]
	switch {
	case m.State == message.Sending && m.SentAt != nil, m.State == message.Sending && m.ProviderID != "":
		return AwaitsReport, ""
	case m.State == message.Sending && account.Name != "" && account.Workers == 0: // its attempt, or the question about it, is queued
		return NoWorker, ""
	case m.State == message.Sending && m.Attempts > 0 && m.Code != "": // an attempt ended, and not well
		return InDoubt, m.Code
	case b.State == message.BatchPaused:
		return Paused, ""
	case m.Code == message.CodeHeld, account.Held != nil, b.Held != nil && b.Held.By != message.HeldByGuard:
		return Held, ""
	case account.Name != "" && account.Workers == 0:
		return NoWorker, ""
	case account.Breaker != nil && *account.Breaker == starter.BreakerOpen:
		return Breaker, m.Code
	case m.State == message.Retrying:
		return Retrying, m.Code
	case s.rates[m.Account] > 0 && (queued || used):
		return Rate, ""
	}
	return Waiting, m.Code
}

// groups are those that wait, the longest first.
func (s *messages) groups() []Group {
	for i := range s.found {
		s.add(&s.found[i])
	}
	all := make([]Group, 0, len(s.by))
	for _, g := range s.by {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(x, y Group) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Why, y.Why), strings.Compare(x.Account, y.Account), strings.Compare(x.Code, y.Code))
	})
	return all
}
