package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
	"volley/starter"
)

func (a *app) accountsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "accounts",
		Short: "Show how the accounts of the configuration stand",
		Long: `Shows the accounts of the configuration, and others that are held: who holds them
and why, what they may send and have sent in the last half minute, how many workers
poll for their messages, what is in flight, whether their breaker is open (a batch
lets nothing but probes through, as the account is unavailable), when their provider
last reported, and what they answered in the last hour. ? is that nobody knows. Below
stand the holds of less or more than an account.`,
		Example:           "  volley accounts -o json",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.config(config.LoadWithoutSecrets)
			if err != nil {
				return err
			}
			var q starter.AccountsQuery
			for _, x := range c.Accounts() {
				q.Accounts = append(q.Accounts, starter.AccountOf{Name: x.Name, Provider: x.Provider, Rate: x.Rate})
			}
			return a.on(cmd.Context(), func(b batches) error {
				list, err := b.Accounts(cmd.Context(), q)
				if err != nil {
					return err
				}
				if a.json() {
					return a.print(list)
				}
				a.showAccounts(list)
				return nil
			})
		},
	}
}

func (a *app) showAccounts(list starter.AccountList) {
	now := a.now()
	t := &table{right: map[int]bool{2: true, 3: true, 4: true, 5: true}}
	t.row(headings("account", "provider", "rate", "used", "workers", "in flight", "breaker", "last report", "held", "errors")...)
	var asOf *time.Time
	if len(list.Accounts) == 0 {
		t.row(cell{"none", faint})
	}
	for _, x := range list.Accounts {
		limit, used, held := "", "?", cell{"no", 0}
		if x.Rate != nil {
			limit = *x.Rate
		}
		if x.Used != nil {
			used = fmt.Sprintf("%.1f/s", *x.Used)
		}
		if h := x.Held; h != nil {
			held = cell{"by " + heldBy(h) + " " + relative(h.Since, now) + ": " + h.Reason, red}
		}
		workers := cell{number(x.Workers), 0}
		if x.Workers == 0 {
			workers.colour = red
		}
		if x.Groups {
			used = "in groups"
		}
		provider := cell{x.Provider, 0}
		if x.Provider == "" {
			provider, limit = cell{"not in the config", red}, "?"
		}
		told := toldOf(&x, now)
		t.row(cell{x.Name, 0}, provider, cell{cmp.Or(limit, "no limit"), 0}, cell{used, 0}, workers, told[0], told[1], told[2], held, told[3])
		if x.AsOf != nil && (asOf == nil || x.AsOf.Before(*asOf)) {
			asOf = x.AsOf
		}
	}
	a.table(t)
	if asOf != nil {
		a.printf("in flight, breaker, last report and errors of the last hour: as of %s\n", relative(*asOf, now))
	}
	for i := range list.Holds {
		if x := &list.Holds[i]; x.Account == "" || x.Selector != (starter.Selector{Account: x.Account}) {
			a.printf("held: %s, %s\n", x.Selector, heldSince(x, now))
		}
	}
}

// mostShown is how many codes of an account the table shows.
const mostShown = 3

// toldOf are what is in flight, the breaker, the last report and the errors of an account.
func toldOf(x *starter.AccountHealth, now time.Time) [4]cell {
	told := [4]cell{{"?", faint}, {"?", faint}, {"?", faint}, {"?", faint}}
	if x.InFlight != nil {
		told[0] = cell{number(*x.InFlight), 0}
	}
	if x.Breaker != nil {
		told[1] = cell{*x.Breaker, 0}
		if *x.Breaker == starter.BreakerOpen {
			told[1].colour = red
		}
	}
	if x.LastReport != nil {
		told[2] = cell{relative(*x.LastReport, now), 0}
	}
	if x.Errors != nil {
		told[3] = cell{"none", 0}
	}
	var codes []string
	for i, e := range x.Errors {
		if i == mostShown {
			codes = append(codes, "…")
			break
		}
		codes = append(codes, number(e.Count)+" "+e.Code)
	}
	if len(codes) > 0 {
		told[3] = cell{strings.Join(codes, ", "), red}
	}
	return told
}

// heldSince says by whom something is held, since when, until when and why.
func heldSince(x *starter.HoldDocument, now time.Time) string {
	s := "by " + heldBy(&message.HoldView{By: x.By}) + " " + relative(x.Since, now)
	if x.Until != nil {
		s += ", until " + clockTime(*x.Until, now)
	}
	if x.Reason != "" {
		s += ": " + x.Reason
	}
	return s
}
