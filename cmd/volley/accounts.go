package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/starter"
)

func (a *app) accountsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "accounts",
		Short: "Show how the accounts of the configuration stand",
		Long: `Shows the accounts of the configuration: who holds them and why, what they may
send and do now, and how many workers poll for their messages.`,
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
	if len(list.Accounts) == 0 {
		a.printf("no accounts\n")
		return
	}
	now := a.now()
	t := &table{right: map[int]bool{2: true, 3: true, 4: true}}
	t.row(cell{"account", faint}, cell{"provider", faint}, cell{"rate", faint}, cell{"used", faint}, cell{"workers", faint}, cell{"held", faint})
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
		t.row(cell{x.Name, 0}, cell{x.Provider, 0}, cell{cmp.Or(limit, "no limit"), 0}, cell{used, 0}, workers, held)
	}
	a.table(t)
}
