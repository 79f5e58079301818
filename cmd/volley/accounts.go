package main

import (
	"cmp"
	"fmt"
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
and why, what they may send and have sent in the last half minute, and how many
workers poll for their messages. Below stand the holds of less or more than an
account.`,
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
	t := &table{right: map[int]bool{2: true, 3: true, 4: true}}
	t.row(cell{"account", faint}, cell{"provider", faint}, cell{"rate", faint}, cell{"used", faint}, cell{"workers", faint}, cell{"held", faint})
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
		t.row(cell{x.Name, 0}, provider, cell{cmp.Or(limit, "no limit"), 0}, cell{used, 0}, workers, held)
	}
	a.table(t)
	for i := range list.Holds {
		if x := &list.Holds[i]; x.Account == "" || x.Selector != (starter.Selector{Account: x.Account}) {
			a.printf("held: %s, %s\n", x.Selector, heldSince(x, now))
		}
	}
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
