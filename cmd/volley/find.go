package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/index"
	"volley/internal/message"
)

// indexScope is what commands that ask the index have in common.
type indexScope struct {
	since string
	all   bool
}

func (s *indexScope) add(cmd *cobra.Command, since string) {
	f := cmd.Flags()
	f.StringVar(&s.since, "since", "", since+" since `T`: a duration ago such as 12h or 3d, or an RFC 3339 time")
	f.BoolVar(&s.all, "all-tenants", false, "those of all tenants, not of --tenant alone")
}

// read is whose messages are meant, empty for everybody's, and since when.
func (s *indexScope) read(a *app, cmd *cobra.Command) (tenant string, since time.Time, err error) {
	if err := notEmpty(cmd, "since"); err != nil {
		return "", since, err
	}
	if s.all && cmd.Flags().Changed("tenant") {
		return "", since, usage("--all-tenants and --tenant exclude each other")
	}
	if !s.all {
		tenant = a.tenant
	}
	if s.since == "" {
		return tenant, since, nil
	}
	since, err = a.sinceOf(s.since)
	return tenant, since, err
}

// sinceOf reads a time, or how long ago it was.
func (a *app) sinceOf(text string) (time.Time, error) {
	if d, err := message.ParseDuration(text); err == nil && d >= 0 {
		return a.now().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usage("--since %q, expected a duration such as 12h or 3d, or an RFC 3339 time", text)
	}
	return at, nil
}

func (a *app) findCommand() *cobra.Command {
	var q index.FindQuery
	var scope indexScope
	var state string
	cmd := &cobra.Command{
		Use:   "find QUERY",
		Short: "Find messages of any batch by recipient, reference or id",
		Long: `Finds messages of all batches, the newest first: by a phone number in any spelling or
another address, a reference, a message's id, or the id that the provider gave it.
--to, --reference, --id and --provider-id say which of them is meant; then no QUERY is
needed. It asks the index (index.url in the configuration), which may be seconds behind.`,
		Example: `  volley find +4915123456789
  volley find --reference c-4001 --since 7d -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := notEmpty(cmd, "to", "reference", "id", "provider-id", "state"); err != nil {
				return err
			}
			if len(args) > 0 {
				if q.Text = args[0]; q.Text == "" {
					return usage("QUERY is empty")
				}
			}
			if q.Text == "" && q.To == "" && q.Reference == "" && q.ID == "" && q.ProviderID == "" {
				return usage("QUERY is missing: a recipient, a reference or an id")
			}
			if q.Limit < 1 || q.Limit > 500 {
				return usage("--limit %d, expected 1 to 500", q.Limit)
			}
			if q.Tenant, q.Since, err = scope.read(a, cmd); err != nil {
				return err
			}
			if q.States, err = statesOf(state); err != nil {
				return err
			}
			return a.withIndex(cmd.Context(), func(x *index.Index) error { return a.find(cmd.Context(), x, q) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.To, "to", "", "messages to this `recipient`")
	f.StringVar(&q.Reference, "reference", "", "messages with this `reference` of the caller's")
	f.StringVar(&q.ID, "id", "", "the message with this `id`")
	f.StringVar(&q.ProviderID, "provider-id", "", "the message that the provider knows by this `id`")
	f.StringVar(&q.Region, "default-region", "", "the `country`, as DE, in which phone numbers without its code are written")
	f.StringVar(&state, "state", "", "only messages in these `states`, such as failed,expired or not-sent or not-delivered")
	scope.add(cmd, "only messages that changed")
	f.IntVar(&q.Limit, "limit", 50, "how many, at most 500")
	f.StringVar(&q.Cursor, "cursor", "", "where the page before ended")
	complete(cmd, "state", completeList(message.StateWords()))
	return cmd
}

// statesOf lists the states that a text names; none for an empty one.
func statesOf(names string) (states []message.State, err error) {
	if names == "" {
		return nil, nil
	}
	set, err := message.ParseStates(names)
	if err != nil {
		return nil, usage("--state: %w", err)
	}
	for _, s := range message.States() {
		if set.Has(s) {
			states = append(states, s)
		}
	}
	return states, nil
}

func (a *app) find(ctx context.Context, x *index.Index, q index.FindQuery) error {
	page, err := x.Find(ctx, q)
	if err != nil {
		return indexError(err)
	}
	if a.json() {
		return a.print(page)
	}
	if len(page.Messages) == 0 {
		a.printf("no messages\n")
		return nil
	}
	now := a.now()
	t := &table{}
	t.row(headings("when", "state", "to", "account", "reason", "reference", "batch", "#")...)
	for i := range page.Messages {
		m := &page.Messages[i]
		batch := m.Batch
		if q.Tenant == "" {
			batch = m.Tenant + "/" + batch
		}
		reason := message.ReasonText(m.Code, m.Detail)
		if m.Detail != "" && m.Detail != m.Code && m.Detail != reason {
			reason += ": " + m.Detail
		}
		t.row(cell{clock(foundAt(m, now), now), 0}, cell{m.State.Text(), stateColour(m.State)}, cell{m.To, 0}, cell{m.Account, 0},
			cell{clipWidth(reason, maxReason), 0}, cell{m.Reference, 0}, cell{batch, 0}, cell{number(m.Index), 0})
	}
	a.table(t)
	if page.Next != "" {
		a.note("there are more: --cursor %s", page.Next)
	}
	return nil
}

// maxReason is how many columns a reason takes in a table.
const maxReason = 60

// foundAt is when what is known of a message happened, or will.
func foundAt(m *index.Found, now time.Time) time.Time {
	return *cmp.Or(m.FinishedAt, m.SentAt, m.DueAt, &now)
}

// indexError says of an error of the index what it means for the command.
func indexError(err error) error {
	if errors.Is(err, index.ErrInvalid) {
		return &exitError{code: exitUsage, err: err}
	}
	return err
}
