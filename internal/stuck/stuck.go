package stuck

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

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
	// MaxBatches is how many open batches are looked at, and mostWaiting how many of the
	// messages of each.
	MaxBatches  = 200
	mostWaiting = 500
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
	// Do is what a command can do about it, which the command fills in.
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
	// Unread are open batches that could not be read, and Left is that there are more of
	// them than were looked at.
	Unread []string `json:"unread"`
	Left   bool     `json:"left"`
}

// Batches are the open batches; index.Index has them.
type Batches interface {
	Batches(ctx context.Context, q index.BatchesQuery) (index.BatchPage, error)
}

// Reads are what batches and accounts say of themselves; a starter.Starter does.
type Reads interface {
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

// Find finds out what waits. Batches that cannot be read are named, and are no error.
func Find(ctx context.Context, x Batches, b Reads, q Query) (Report, error) {
	page, err := x.Batches(ctx, index.BatchesQuery{Tenant: q.Tenant, Open: true, Limit: MaxBatches})
	if err != nil {
		return Report{}, err
	}
	accounts, err := b.Accounts(ctx, starter.AccountsQuery{Accounts: q.Accounts})
	if err != nil {
		return Report{}, err
	}
	s := messages{by: map[[3]string]*Group{}, before: q.Now.Add(-q.For), accounts: accounts, rates: map[string]float64{}}
	for _, a := range q.Accounts {
		s.rates[a.Name] = a.Rate
	}
	out := Report{Groups: []Group{}, Unread: []string{}, Left: page.Next != ""}
	for i := range page.Batches {
		batch := &page.Batches[i]
		if !batch.NextDueAt.IsZero() && batch.NextDueAt.After(q.Now) && batch.State == message.BatchScheduled {
			continue
		}
		waiting, err := b.Messages(ctx, starter.Ref{Tenant: batch.Tenant, ID: batch.ID}, message.PageQuery{State: "accepted,sending,retrying", Limit: mostWaiting})
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err != nil {
			out.Unread = append(out.Unread, batch.ID)
			continue
		}
		s.add(batch, waiting)
	}
	out.Groups = append(out.Groups, s.groups()...)
	return out, nil
}

// messages gathers messages that wait.
type messages struct {
	by       map[[3]string]*Group
	before   time.Time
	accounts starter.AccountList
	rates    map[string]float64
}

func (s *messages) add(b *index.Batch, page message.Page) {
	for i := range page.Messages {
		m := &page.Messages[i]
		if m.DueAt == nil || m.DueAt.After(s.before) {
			continue
		}
		why, code := s.why(b, m)
		key := [3]string{why, m.Account, code}
		g := s.by[key]
		if g == nil {
			g = &Group{Why: why, Account: m.Account, Code: code, Since: *m.DueAt, Tenant: b.Tenant, FirstBatch: b.ID, First: m.Index}
			s.by[key] = g
		}
		g.Messages++
		g.AtLeast = g.AtLeast || page.Next != ""
		if m.DueAt.Before(g.Since) {
			g.Since, g.Tenant, g.FirstBatch, g.First = *m.DueAt, b.Tenant, b.ID, m.Index
		}
		if !slices.Contains(g.Batches, b.ID) {
			g.Batches = append(g.Batches, b.ID)
		}
	}
}

// why says for what a message waits.
func (s *messages) why(b *index.Batch, m *message.Row) (why, code string) {
	var account starter.AccountHealth
	for _, x := range s.accounts.Accounts {
		if x.Name == m.Account {
			account = x
		}
	}
	switch {
	case m.State == message.Sending && m.SentAt != nil, m.State == message.Sending && m.ProviderID != "":
		return AwaitsReport, ""
	case m.State == message.Sending && m.Attempts > 0:
		return InDoubt, m.Code
	case b.State == message.BatchPaused:
		return Paused, ""
	case m.Code == message.CodeHeld, account.Held != nil, b.Held != nil && b.Held.By != message.HeldByGuard:
		return Held, ""
	case account.Name != "" && account.Workers == 0:
		return NoWorker, ""
	case m.State == message.Retrying:
		return Retrying, m.Code
	case m.Code != "": // it was given back without another attempt
		return Breaker, m.Code
	case account.Used != nil && s.rates[m.Account] > 0 && *account.Used >= nearRate*s.rates[m.Account]:
		return Rate, ""
	}
	return Waiting, ""
}

// groups are those that wait, the longest first.
func (s *messages) groups() []Group {
	all := make([]Group, 0, len(s.by))
	for _, g := range s.by {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(x, y Group) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Why, y.Why), strings.Compare(x.Account, y.Account), strings.Compare(x.Code, y.Code))
	})
	return all
}
