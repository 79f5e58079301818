package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/stuck"
	"volley/starter"
)

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

// stuck finds out what waits.
func (a *app) stuck(ctx context.Context, x stuck.Batches, b reads, tenant string, wait time.Duration) (stuck.Report, error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return stuck.Report{}, err
	}
	q := stuck.Query{Tenant: tenant, For: wait, Now: a.now()}
	rates := c.Rates()
	for _, account := range c.Accounts() {
		q.Accounts = append(q.Accounts, starter.AccountOf{Name: account.Name, Provider: account.Provider, Rate: cmp.Or(account.Rate, rates[account.Name])})
	}
	out, err := stuck.Find(ctx, x, b, q)
	for i := range out.Groups {
		out.Groups[i].Do = stuckAdvice(&out.Groups[i])
	}
	return out, indexError(err)
}

// stuckAdvice is what to do about what waits.
func stuckAdvice(g *stuck.Group) string {
	account := cmp.Or(g.Account, "A")
	switch g.Why {
	case stuck.Held:
		return "volley accounts says why; volley release --account " + account + " lets them go"
	case stuck.Paused:
		return "volley resume " + g.Batches[0]
	case stuck.NoWorker:
		if g.Account == "" {
			return "start a worker: none answers for " + g.Batches[0]
		}
		return "start a worker that has the account " + account
	case stuck.Rate:
		return "raise the rate of " + account + " in the configuration if its provider allows it"
	case stuck.Breaker:
		return account + " is unavailable and gets a probe every 30 s at most; volley accounts says what it answers"
	case stuck.Retrying:
		return "look at what " + account + " answers; volley hold --account " + account + " stops the attempts"
	case stuck.InDoubt:
		return fmt.Sprintf("volley message %s %d shows the attempt; its provider is asked until it answers", g.Batches[0], g.First)
	case stuck.AwaitsReport:
		return "the provider has reported nothing yet: check where " + account + " sends its reports"
	}
	return "volley status " + g.Batches[0] + "; volley doctor checks what is around"
}

func (a *app) showStuck(out stuck.Report) {
	now := a.now()
	if out.NoWorker {
		a.note("no worker runs: nothing leaves, and what has started since the last one ended is not counted here")
	}
	if len(out.Groups) == 0 && !out.NoWorker {
		a.printf("nothing waits longer than it should\n")
	} else if len(out.Groups) > 0 {
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
