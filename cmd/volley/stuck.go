package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/message"
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
	// mostStuck is how many batches are asked, and mostWaiting for how many of the messages
	// of each.
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
	// Unread are open batches that could not be read. Asked is how many were asked, and Left
	// that older ones than StoppedAt, the last one, were not.
	Unread    []string `json:"unread"`
	Asked     int      `json:"asked"`
	Left      bool     `json:"left"`
	StoppedAt string   `json:"stoppedAt,omitempty"`
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
index says in which batches something waits; they themselves say what and how they stand,
Temporal and the workers how accounts do. At most 200 batches are asked, the newest.`,
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

// stuck finds out what waits: the index tells which batches have messages that wait, they
// themselves which messages and how the batch stands, and Temporal and the workers how the
// accounts do.
func (a *app) stuck(ctx context.Context, x openBatches, b reads, tenant string, wait time.Duration) (stuckOutput, error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return stuckOutput{}, err
	}
	out := stuckOutput{Groups: []stuckGroup{}, Unread: []string{}}
	s := stuckMessages{by: map[[3]string]*stuckGroup{}, before: a.now().Add(-wait), rates: c.Rates()}
	q := index.BatchesQuery{Tenant: tenant, Open: true, Limit: mostStuck}
	for more := true; more; {
		page, err := x.Batches(ctx, q)
		if err != nil {
			return out, indexError(err)
		}
		for i := range page.Batches {
			batch := &page.Batches[i]
			if !s.mayWait(batch) {
				continue
			}
			if out.Asked == mostStuck {
				out.Left = true
				break
			}
			out.Asked, out.StoppedAt = out.Asked+1, batch.ID
			if err := s.ask(ctx, b, batch); ctx.Err() != nil {
				return out, ctx.Err()
			} else if err != nil {
				out.Unread = append(out.Unread, batch.ID)
			}
		}
		q.Cursor, more = page.Next, page.Next != "" && !out.Left
	}
	if !out.Left {
		out.StoppedAt = ""
	}
	s.accounts, err = b.Accounts(ctx, s.accountsOf(c))
	if err != nil {
		return out, err
	}
	out.Groups = append(out.Groups, s.groups()...)
	return out, nil
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
		a.note("only the newest %d batches with messages that wait were asked, down to %s", out.Asked, out.StoppedAt)
	}
}
