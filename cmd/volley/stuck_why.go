package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// stuckMessages gathers messages that wait.
type stuckMessages struct {
	by       map[[3]string]*stuckGroup
	before   time.Time
	found    []foundWaiting
	accounts starter.AccountList
	rates    map[string]float64
}

// foundWaiting are the messages of a batch that wait.
type foundWaiting struct {
	batch  string
	status message.Status
	// silent means that no worker answers for the batch: rows are empty, and waiting is how
	// many messages wait by the index, and since when.
	silent  bool
	waiting int
	since   time.Time
	rows    []message.Row
	more    bool
}

// mayWait reports whether the index knows of messages in a batch that may have been due for
// some time.
func (s *stuckMessages) mayWait(b *index.Batch) bool {
	all := 0
	for _, n := range b.Counts {
		all += n
	}
	if all == b.Total && b.Counts.Open() == 0 {
		return false
	}
	return b.State != message.BatchScheduled || !b.NextDueAt.After(s.before)
}

// ask asks a batch how it stands and for its messages that wait.
func (s *stuckMessages) ask(ctx context.Context, b reads, batch *index.Batch) error {
	ref := starter.Ref{Tenant: batch.Tenant, ID: batch.ID}
	found := foundWaiting{batch: batch.ID}
	status, err := b.Status(ctx, ref)
	var page message.Page
	if err == nil {
		page, err = b.Messages(ctx, ref, message.PageQuery{State: "accepted,sending,retrying", Limit: mostWaiting})
	}
	switch {
	case errors.Is(err, starter.ErrNoWorker):
		found.silent, found.waiting = true, batch.Counts.Open()
		found.since = batch.NextDueAt
		if found.since.IsZero() {
			found.since = batch.CreatedAt
		}
		if found.since.After(s.before) {
			return nil
		}
	case err != nil:
		return err
	}
	found.status, found.rows, found.more = status, page.Messages, page.Next != ""
	s.found = append(s.found, found)
	return nil
}

// accountsOf are the accounts of the configuration and the others that messages wait for.
func (s *stuckMessages) accountsOf(c *config.Config) (q starter.AccountsQuery) {
	there := map[string]bool{}
	add := func(a starter.AccountOf) {
		if a.Name != "" && !there[a.Name] {
			there[a.Name] = true
			q.Accounts = append(q.Accounts, a)
		}
	}
	for _, account := range c.Accounts() {
		add(starter.AccountOf{Name: account.Name, Provider: account.Provider, Rate: account.Rate})
	}
	for i := range s.found {
		for k := range s.found[i].rows {
			add(starter.AccountOf{Name: s.found[i].rows[k].Account})
		}
	}
	return q
}

// add groups the messages of a batch that were due before.
func (s *stuckMessages) add(f *foundWaiting) {
	if f.silent {
		s.group(stuckNoWorker, "", "", f.batch, f.since, 0).Messages += f.waiting
		return
	}
	for i := range f.rows {
		m := &f.rows[i]
		if m.DueAt == nil || m.DueAt.After(s.before) {
			continue
		}
		why, code := s.why(&f.status, m)
		g := s.group(why, m.Account, code, f.batch, *m.DueAt, m.Index)
		g.Messages++
		g.AtLeast = g.AtLeast || f.more
	}
}

// group is that of messages which wait for the same, with one more of them.
func (s *stuckMessages) group(why, account, code, batch string, due time.Time, first int) *stuckGroup {
	key := [3]string{why, account, code}
	g := s.by[key]
	if g == nil {
		g = &stuckGroup{Why: why, Account: account, Code: code, Since: due, first: first}
		s.by[key] = g
	}
	if due.Before(g.Since) {
		g.Since, g.first = due, first
	}
	if !slices.Contains(g.Batches, batch) {
		g.Batches = append(g.Batches, batch)
	}
	return g
}

// why says for what a message waits.
func (s *stuckMessages) why(b *message.Status, m *message.Row) (why, code string) {
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
		return stuckReport, ""
	case m.State == message.Sending && m.Attempts > 0:
		return stuckDoubt, m.Code
	case b.State == message.BatchPaused:
		return stuckPaused, ""
	case m.Code == message.CodeHeld, account.Held != nil, b.Held != nil && b.Held.By != message.HeldByGuard:
		return stuckHeld, ""
	case account.Name != "" && account.Workers == 0:
		return stuckNoWorker, ""
	case account.Breaker != nil && *account.Breaker == starter.BreakerOpen:
		return stuckBreaker, m.Code
	case m.State == message.Retrying:
		return stuckRetrying, m.Code
	case s.rates[m.Account] > 0 && (queued || used):
		return stuckRate, ""
	}
	return stuckWaiting, m.Code
}

// groups are those that wait, the longest first, with what to do.
func (s *stuckMessages) groups() []stuckGroup {
	for i := range s.found {
		s.add(&s.found[i])
	}
	all := make([]stuckGroup, 0, len(s.by))
	for _, g := range s.by {
		g.Do = g.advice()
		all = append(all, *g)
	}
	slices.SortFunc(all, func(x, y stuckGroup) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Why, y.Why), strings.Compare(x.Account, y.Account), strings.Compare(x.Code, y.Code))
	})
	return all
}

func (g *stuckGroup) advice() string {
	account := cmp.Or(g.Account, "A")
	switch g.Why {
	case stuckHeld:
		return "volley accounts says why; volley release --account " + account + " lets them go"
	case stuckPaused:
		return "volley resume " + g.Batches[0]
	case stuckNoWorker:
		if g.Account == "" {
			return "start a worker: none answers for " + g.Batches[0]
		}
		return "start a worker that has the account " + account
	case stuckRate:
		return "raise the rate of " + account + " in the configuration if its provider allows it"
	case stuckBreaker:
		return account + " is unavailable and gets a probe every 30 s at most; volley accounts says what it answers"
	case stuckRetrying:
		return "look at what " + account + " answers; volley hold --account " + account + " stops the attempts"
	case stuckDoubt:
		return fmt.Sprintf("volley message %s %d shows the attempt; its provider is asked until it answers", g.Batches[0], g.first)
	case stuckReport:
		return "the provider has reported nothing yet: check where " + account + " sends its reports"
	}
	return "volley status " + g.Batches[0] + "; volley doctor checks what is around"
}
