package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/message"
	"volley/starter"
)

// Why messages wait longer than they should.
const (
	stuckHeld     = "held"
	stuckPaused   = "paused"
	stuckNoWorker = "no worker"
	stuckRate     = "rate"
	stuckBreaker  = "breaker"
	stuckRetrying = "retrying"
	stuckDoubt    = "doubt"
	stuckReport   = "awaits report"
	stuckWaiting  = "waiting"
)

const (
	// mostStuck is how many open batches are looked at, and mostWaiting how many of the
	// messages of each.
	mostStuck   = 200
	mostWaiting = 500
	// nearRate is from which part of its rate on an account counts as one that uses it up.
	nearRate = 0.8
)

// stuckGroup is messages that wait for the same reason.
type stuckGroup struct {
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
	Do      string    `json:"do"`

	first int // the index of that message
}

// stuckOutput is what `volley stuck -o json` prints.
type stuckOutput struct {
	Groups []stuckGroup `json:"groups"`
	// Unread are open batches that could not be read, and Left is that there are more of
	// them than were looked at.
	Unread []string `json:"unread"`
	Left   bool     `json:"left"`
}

func (a *app) stuckCommand() *cobra.Command {
	wait := "10m"
	all := false
	cmd := &cobra.Command{
		Use:   "stuck",
		Short: "Show what waits longer than it should, and why",
		Long: `Shows messages that were due some time ago and still wait, grouped by why: what is held or
paused, has no worker, waits for an account's rate, is tried again, is in doubt, or
awaits a delivery report. Each group says since when, which batches, and what to do. The
index says which batches are open; they themselves say what waits.`,
		Example:           "  volley stuck --for 30m",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := message.ParseDuration(wait)
			if err != nil || d < 0 {
				return usage("--for %q, expected a duration such as 10m or 2h", wait)
			}
			if all && cmd.Flags().Changed("tenant") {
				return usage("--all-tenants and --tenant exclude each other")
			}
			tenant := a.tenant
			if all {
				tenant = ""
			}
			ctx := cmd.Context()
			return a.withIndex(ctx, func(x *index.Index) error {
				return a.on(ctx, func(b batches) error {
					out, err := a.stuck(ctx, x, b, tenant, d)
					if err != nil {
						return err
					}
					if a.json() {
						return a.print(out)
					}
					a.showStuck(out)
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&wait, "for", wait, "how `long` messages wait at least")
	cmd.Flags().BoolVar(&all, "all-tenants", false, "those of all tenants, not of --tenant alone")
	return cmd
}

// openBatches lists the batches that have not ended; *index.Index does.
type openBatches interface {
	Batches(ctx context.Context, q index.BatchesQuery) (index.BatchPage, error)
}

// stuck finds out what waits.
func (a *app) stuck(ctx context.Context, x openBatches, b reads, tenant string, wait time.Duration) (stuckOutput, error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return stuckOutput{}, err
	}
	page, err := x.Batches(ctx, index.BatchesQuery{Tenant: tenant, Open: true, Limit: mostStuck})
	if err != nil {
		return stuckOutput{}, indexError(err)
	}
	var ask starter.AccountsQuery
	for _, account := range c.Accounts() {
		ask.Accounts = append(ask.Accounts, starter.AccountOf{Name: account.Name, Provider: account.Provider, Rate: account.Rate})
	}
	accounts, err := b.Accounts(ctx, ask)
	if err != nil {
		return stuckOutput{}, err
	}
	s := stuckMessages{by: map[[3]string]*stuckGroup{}, before: a.now().Add(-wait), accounts: accounts, rates: c.Rates()}
	out := stuckOutput{Groups: []stuckGroup{}, Unread: []string{}, Left: page.Next != ""}
	for i := range page.Batches {
		batch := &page.Batches[i]
		if !batch.NextDueAt.IsZero() && batch.NextDueAt.After(a.now()) && batch.State == message.BatchScheduled {
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

// stuckMessages gathers messages that wait.
type stuckMessages struct {
	by       map[[3]string]*stuckGroup
	before   time.Time
	accounts starter.AccountList
	rates    map[string]float64
}

func (s *stuckMessages) add(b *index.Batch, page message.Page) {
	for i := range page.Messages {
		m := &page.Messages[i]
		if m.DueAt == nil || m.DueAt.After(s.before) {
			continue
		}
		why, code := s.why(b, m)
		key := [3]string{why, m.Account, code}
		g := s.by[key]
		if g == nil {
			g = &stuckGroup{Why: why, Account: m.Account, Code: code, Since: *m.DueAt, first: m.Index}
			s.by[key] = g
		}
		g.Messages++
		g.AtLeast = g.AtLeast || page.Next != ""
		if m.DueAt.Before(g.Since) {
			g.Since, g.first = *m.DueAt, m.Index
		}
		if !slices.Contains(g.Batches, b.ID) {
			g.Batches = append(g.Batches, b.ID)
		}
	}
}

// why says for what a message waits.
func (s *stuckMessages) why(b *index.Batch, m *message.Row) (why, code string) {
	var account starter.AccountHealth
	for _, x := range s.accounts.Accounts {
		if x.Name == m.Account {
			account = x
		}
	}
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
	case m.State == message.Retrying:
		return stuckRetrying, m.Code
	case m.Code != "": // it was given back without another attempt
		return stuckBreaker, m.Code
	case account.Used != nil && s.rates[m.Account] > 0 && *account.Used >= nearRate*s.rates[m.Account]:
		return stuckRate, ""
	}
	return stuckWaiting, ""
}

// groups are those that wait, the longest first, with what to do.
func (s *stuckMessages) groups() []stuckGroup {
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
		return "start a worker that has the account " + account
	case stuckRate:
		return "raise the rate of " + account + " in the configuration if its provider allows it"
	case stuckBreaker, stuckRetrying:
		return "look at what " + account + " answers; volley hold --account " + account + " stops the attempts"
	case stuckDoubt:
		return fmt.Sprintf("volley message %s %d shows the attempt; its provider is asked until it answers", g.Batches[0], g.first)
	case stuckReport:
		return "the provider has reported nothing yet: check where " + account + " sends its reports"
	}
	return "volley status " + g.Batches[0] + "; volley doctor checks what is around"
}

func (a *app) showStuck(out stuckOutput) {
	now := a.now()
	if len(out.Groups) == 0 {
		a.printf("nothing waits longer than it should\n")
	} else {
		t := &table{right: map[int]bool{1: true}}
		t.row(headings("why", "messages", "due since", "account", "code", "batches", "do")...)
		for i := range out.Groups {
			g := &out.Groups[i]
			n := number(g.Messages)
			if g.AtLeast {
				n = "over " + n
			}
			batches := g.Batches[0]
			if more := len(g.Batches) - 1; more > 0 {
				batches += fmt.Sprintf(" and %s more", number(more))
			}
			t.row(cell{g.Why, red}, cell{n, 0}, cell{relative(g.Since, now), 0}, cell{g.Account, 0}, cell{g.Code, 0}, cell{batches, 0}, cell{g.Do, 0})
		}
		a.table(t)
	}
	if len(out.Unread) > 0 {
		a.note("these open batches could not be read: %s", strings.Join(out.Unread, ", "))
	}
	if out.Left {
		a.note("only the newest %d open batches were looked at", mostStuck)
	}
}
