package main

import (
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/message"
	"volley/internal/person"
)

func (a *app) forgetCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "forget RECIPIENT|REFERENCE",
		Short: "Take out of the index and the store what names a person",
		Long: `Cancels what waits for a person in a tenant's batches, and takes out of the index and
out of the store whom the messages were for and what they said; counters and rows stay.
Batches that have not ended are named, for another time. It lists the histories in
Temporal that hold the messages with the date on which Temporal deletes them
(volley delete ID does that now, with all of the batch), and what nobody can reach from
here. Whoever is on the suppression list stays on it by a keyed hash.`,
		Example: `  volley forget +4915123456789 --dry-run
  volley forget c-4001 --tenant acme`,
		Args:              needs("RECIPIENT|REFERENCE"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dryRun {
				audit.Of(cmd.Context()).Skip()
			}
			if strings.TrimSpace(args[0]) == "" {
				return usage("RECIPIENT|REFERENCE is empty")
			}
			return a.withPerson(cmd.Context(), func(k *person.Records, region string) error {
				f, err := k.Forget(cmd.Context(), person.Query{Tenant: a.tenant, Text: args[0], Region: region}, dryRun)
				if f != nil {
					counts := map[string]int{"messages": f.Messages, "rows": f.Rows, "objects": f.Objects}
					if f.Canceled != nil {
						counts["unreached"] = f.Canceled.Unreached
					}
					noteCounts(cmd.Context(), counts) // the canceled are noted
				}
				if err != nil {
					return err
				}
				if a.json() {
					return a.print(f)
				}
				a.showForgotten(f)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func (a *app) showForgotten(f *person.Forgotten) {
	if f.DryRun {
		a.printf("%s would be forgotten, %s in the index\n", plural(f.Messages, "message"), number(f.Rows))
	} else {
		a.printf("%s forgotten, %s in the index, %s of the store written anew\n", plural(f.Messages, "message"), number(f.Rows), plural(f.Objects, "object"))
		a.showCanceled(f.Canceled)
	}
	if len(f.Again) > 0 {
		a.note("%s %s not ended, so the store keeps what it has of them: forget again later: %s",
			plural(len(f.Again), "batch"), message.Verb(len(f.Again), "has", "have"), strings.Join(f.Again, ", "))
	}
	if len(f.Histories) > 0 {
		a.printf("\nHistories in Temporal that hold messages, or what providers said of them:\n")
		t := &table{}
		t.row(headings("batch", "until", "")...)
		for _, h := range f.Histories {
			until, note := "it has not ended", ""
			if h.Until != nil {
				until, note = absolute(h.Until.In(a.now().Location())), "now: volley delete "+h.Batch
			}
			if h.Large {
				note = strings.TrimPrefix(note+"; no recipient in it", "; ")
			}
			t.texts(h.Batch, until, note)
		}
		a.table(t)
	}
	a.printf("\nNot reached from here:\n")
	for _, place := range f.Unreached {
		a.printf("- %s\n", place)
	}
}

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export RECIPIENT|REFERENCE",
		Short: "Print all that is known of a person, as JSON",
		Long: `Prints as JSON what a tenant's batches hold of a person: the messages with their texts,
unless those are sensitive, and their trails, the suppressions, and the lines of the
audit log about those batches. The texts of batches that Temporal and the store do not
have any more are gone.`,
		Example:           "  volley export +4915123456789",
		Args:              needs("RECIPIENT|REFERENCE"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return usage("RECIPIENT|REFERENCE is empty")
			}
			return a.withPerson(cmd.Context(), func(k *person.Records, region string) error {
				e, err := k.Export(cmd.Context(), person.Query{Tenant: a.tenant, Text: args[0], Region: region}, a.now())
				if err != nil {
					return err
				}
				n := 0
				for _, b := range e.Batches {
					n += len(b.Messages)
				}
				noteCounts(cmd.Context(), map[string]int{"batches": len(e.Batches), "messages": n, "suppressions": len(e.Suppressions)})
				return a.print(e)
			})
		},
	}
}
