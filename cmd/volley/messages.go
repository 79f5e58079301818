package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"volley/internal/config"
	"volley/internal/message"
)

func (a *app) messagesCommand() *cobra.Command {
	var q message.PageQuery
	cmd := &cobra.Command{
		Use:               "messages ID",
		Short:             "Show a page of a batch's messages",
		Example:           "  volley messages spring-sale --state failed,expired --limit 20",
		Args:              needs("ID"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(notEmpty(cmd, selectNames...), checkSelection(q.State, q.Selector)); err != nil {
				return err
			}
			if q.Limit < 1 || q.Limit > 500 {
				return usage("--limit %d, expected 1 to 500", q.Limit)
			}
			if q.Since < 0 {
				return usage("--since %d, expected a rev of 0 or more", q.Since)
			}
			return a.on(cmd.Context(), func(b batches) error {
				page, err := b.Messages(cmd.Context(), a.ref(args[0]), q)
				if err != nil {
					return err
				}
				if page.Messages == nil {
					page.Messages = []message.Row{}
				}
				if a.json() {
					return a.print(page)
				}
				a.showPage(page)
				return nil
			})
		},
	}
	f := cmd.Flags()
	selectFlags(cmd, &q.State, &q.Code, &q.Selector)
	f.IntVar(&q.Limit, "limit", 100, "how many, at most 500")
	f.StringVar(&q.Cursor, "cursor", "", "where the page before ended")
	f.Int64Var(&q.Since, "since", 0, "only messages that changed after this `rev`")
	return cmd
}

// selectFlags adds the flags that choose messages of a batch.
func selectFlags(cmd *cobra.Command, state, code *string, q *message.Selector) {
	f := cmd.Flags()
	f.StringVar(state, "state", "", "only messages in these `states`, such as failed,expired or not-sent or not-delivered")
	f.StringVar(code, "code", "", "only messages that ended with this `code`")
	recipientFlags(cmd, q)
	f.StringVar(&q.Account, "account", "", "only messages that went, or go, through this `account`")
	complete(cmd, "state", completeList(message.StateWords()))
}

// selectNames are the flags that selectFlags adds.
var selectNames = []string{"to", "reference", "meta", "account", "state", "code"}

// recipientFlags are those of them that every command has.
func recipientFlags(cmd *cobra.Command, q *message.Selector) {
	f := cmd.Flags()
	f.StringVar(&q.To, "to", "", "only messages to this `recipient`; a phone number in any spelling")
	f.StringVar(&q.Reference, "reference", "", "only messages with this `reference` of the caller's")
	f.StringVar(&q.Meta, "meta", "", "only messages with this metadata, or the batch's where they have none, as `key=value`")
}

// notEmpty refuses flags that are given without a value, as by a script with an empty
// variable: they would select everything.
func notEmpty(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usage("--%s is empty", name)
		}
	}
	return nil
}

func checkSelection(state string, q message.Selector) error {
	if err := checkState(state); err != nil {
		return err
	}
	if err := q.Check(); err != nil {
		return usage("--%w", err)
	}
	return nil
}

func checkState(s string) error {
	if s == "" {
		return nil
	}
	if _, err := message.ParseStates(s); err != nil {
		return usage("--state: %w", err)
	}
	return nil
}

func (a *app) showPage(page message.Page) {
	if len(page.Messages) == 0 {
		a.printf("no messages\n")
		return
	}
	now := a.now()
	t := &table{right: map[int]bool{0: true, 6: true}}
	t.row(headings("#", "to", "reference", "state", "account", "channel", "attempts", "due", "ended", "code", "detail")...)
	references := false
	for _, r := range page.Messages {
		reference := ""
		if r.Reference != nil {
			reference, references = *r.Reference, true
		}
		t.row(
			cell{strconv.Itoa(r.Index), faint}, cell{r.To, 0}, cell{reference, 0}, cell{r.State.Text(), stateColour(r.State)}, cell{r.Account, 0},
			cell{r.Channel, 0}, cell{strconv.Itoa(r.Attempts), 0}, cell{relativeTo(r.DueAt, now), 0}, cell{relativeTo(r.FinishedAt, now), 0},
			cell{r.Code, 0}, cell{r.Detail, 0},
		)
	}
	if !references {
		t.drop(2)
	}
	a.table(t)
	if page.Next != "" {
		a.printf("more with --cursor %s\n", page.Next)
	}
}

func headings(names ...string) []cell {
	cells := make([]cell, len(names))
	for i, n := range names {
		cells[i] = cell{n, faint}
	}
	return cells
}

func relativeTo(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return relative(*t, now)
}

func (a *app) messageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "message ID MESSAGE",
		Short: "Show one message and the story of its attempts",
		Long: `Shows one message, what it said, and the story of its attempts. It is named by its id or
index, or else by its recipient, in any spelling of a phone number, or its reference.
Where several are meant they are listed, and nothing is shown.`,
		Example:           "  volley message spring-sale 17\n  volley message spring-sale '+49 151 1234567'",
		Args:              needs("ID", "MESSAGE"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.on(cmd.Context(), func(b batches) error {
				row, err := b.Message(cmd.Context(), a.ref(args[0]), args[1])
				if err != nil {
					return err
				}
				if row.Trail == nil {
					row.Trail = []message.TrailRow{}
				}
				if a.json() {
					return a.print(messageDocument{Row: row, Trail: row.Trail})
				}
				a.showMessage(row)
				return nil
			})
		},
	}
}

// messageDocument is a row that always has a trail; rows of pages have none.
type messageDocument struct {
	message.Row
	Trail []message.TrailRow `json:"trail"`
}

func rowName(r message.Row) string { return fmt.Sprintf("#%d to %s", r.Index, r.To) }

// providerOf names who an account sends through; where that is not in the configuration it
// is the account.
func (a *app) providerOf(account string) string {
	provider := ""
	if c, _, err := a.config(config.LoadWithoutSecrets); err == nil {
		for _, x := range c.Accounts() {
			if x.Name == account {
				provider = x.Provider
			}
		}
	}
	return message.ProviderName(provider, account)
}

// sentence says what became of a message.
func (a *app) sentence(r *message.Row) string {
	now := a.now()
	return r.Sentence(a.providerOf(r.Account), func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return clock(*at, now)
	})
}

func (a *app) showMessage(r message.Row) {
	now := a.now()
	a.printf("%s\n\n", a.sentence(&r))
	t := &table{}
	line, at := t.facts(now)
	line("message", rowName(r))
	line("written as", r.Given)
	if len(r.Addresses) > 1 {
		line("addresses", addressText(r.Addresses))
	}
	line("id", r.ID)
	if r.Reference != nil {
		line("reference", *r.Reference)
	}
	t.row(cell{"state", faint}, cell{r.State.Text(), stateColour(r.State)})
	line("channel", r.Channel)
	line("account", r.Account)
	at("due", r.DueAt)
	at("valid until", r.ExpiresAt)
	at("sent", r.SentAt)
	at("ended", r.FinishedAt)
	line("provider's id", r.ProviderID)
	line("attempts", strconv.Itoa(r.Attempts))
	line("code", r.Code)
	if r.Code != "" {
		line("which means", message.ReasonText(r.Code, r.Detail))
	}
	line("detail", r.Detail)
	if r.Text != nil {
		line("text, rendered again", *r.Text)
	}
	a.table(t)
	if len(r.Trail) > 0 {
		a.printf("\n")
		a.showTrail(r.Trail)
	}
}

// addressText lists the ways to reach a recipient.
func addressText(all []message.AddressRow) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = string(a.Kind) + " " + a.Value
		if a.Channel != "" {
			texts[i] += " on " + a.Channel
		}
	}
	return strings.Join(texts, ", ")
}

func (a *app) showTrail(trail []message.TrailRow) {
	zone := a.now().Location()
	t := &table{right: map[int]bool{2: true}}
	t.row(headings("at", "account", "attempt", "event", "code", "detail")...)
	for _, e := range trail {
		t.row(
			cell{absolute(e.At.In(zone)), 0}, cell{e.Account, 0}, cell{strconv.Itoa(e.Attempt), 0},
			cell{string(e.Event), eventColour(e.Event)}, cell{e.Code, 0}, cell{e.Detail, 0},
		)
	}
	a.table(t)
}

func eventColour(e message.Event) colour {
	switch e {
	case message.EventSent, message.EventFound, message.EventDelivered:
		return green
	case message.EventRejected, message.EventUnauthorized, message.EventInvalid, message.EventUndelivered:
		return red
	}
	return yellow
}
