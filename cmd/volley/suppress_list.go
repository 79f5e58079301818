package main

import (
	"time"

	"github.com/spf13/cobra"

	"volley/internal/index"
	"volley/internal/person"
)

// suppressionList is what suppress list prints with -o json.
type suppressionList struct {
	Suppressions []person.SuppressionRow `json:"suppressions"`
	Next         string                  `json:"next"`
}

func (a *app) suppressListCommand() *cobra.Command {
	var q index.SuppressionQuery
	var everybody bool
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "Show the suppression list",
		Long:              `Shows the suppression list of a tenant, what changed last first. Who was forgotten is there with a key.`,
		Example:           "  volley suppress list --limit 500 -o json",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Tenants = []string{a.listOf(everybody)}
			return a.withIndex(cmd.Context(), func(x *index.Index) error {
				page, next, err := x.Suppressions(cmd.Context(), q)
				if err != nil {
					return err
				}
				if a.json() {
					return a.print(suppressionList{rowsOf(page), next})
				}
				a.showSuppressions(page)
				if next != "" {
					a.note("there are more: --cursor %s", next)
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many, at most 500")
	cmd.Flags().StringVar(&q.Cursor, "cursor", "", "where to go on, `next` of the page before")
	everybodyFlag(cmd, &everybody)
	return cmd
}

func rowsOf(page []index.Suppression) []person.SuppressionRow {
	rows := make([]person.SuppressionRow, len(page))
	for i := range page {
		rows[i] = person.RowOf(page[i])
	}
	return rows
}

func (a *app) showSuppressions(page []index.Suppression) {
	if len(page) == 0 {
		a.printf("nobody\n")
		return
	}
	t := &table{}
	t.row(headings("recipient", "of", "since", "until", "by", "reason", "source")...)
	now := a.now()
	for _, s := range page {
		name, of, until := s.Recipient, s.Tenant, "ever"
		if name == "" {
			name = s.Key
		}
		if of == "" {
			of = "everybody"
		}
		if !s.Until.IsZero() {
			until = s.Until.In(now.Location()).Format(time.DateOnly)
		}
		t.texts(name, of, s.At.In(now.Location()).Format(time.DateOnly), until, s.By, s.Reason, s.Source)
	}
	a.table(t)
}

// checkedRecipient is what suppress check says of one recipient.
type checkedRecipient struct {
	Recipient  string                  `json:"recipient"`
	Suppressed bool                    `json:"suppressed"`
	Entries    []person.SuppressionRow `json:"entries"`
}

func (a *app) suppressCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "check RECIPIENT...",
		Short:             "Say whether recipients are on the suppression list",
		Long:              `Says whether messages of a tenant to recipients would be rejected, by its own list or by everybody's.`,
		Example:           "  volley suppress check +4915123456789",
		Args:              some("RECIPIENT"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withListed(cmd.Context(), args, func(x *index.Index, list []string) error {
				doc := make([]checkedRecipient, 0, len(list))
				var found []index.Suppression
				for i, recipient := range list {
					page, _, err := x.Suppressions(cmd.Context(), index.SuppressionQuery{Tenants: []string{a.tenant, ""}, Recipient: recipient})
					if err != nil {
						return err
					}
					doc = append(doc, checkedRecipient{args[i], len(page) > 0, rowsOf(page)})
					found = append(found, page...)
				}
				if a.json() {
					return a.print(map[string]any{"recipients": doc})
				}
				a.printf("%s of %s suppressed\n", number(suppressedOf(doc)), plural(len(doc), "recipient"))
				if len(found) > 0 {
					a.showSuppressions(found)
				}
				return nil
			})
		},
	}
}

func suppressedOf(doc []checkedRecipient) (n int) {
	for _, d := range doc {
		if d.Suppressed {
			n++
		}
	}
	return n
}
